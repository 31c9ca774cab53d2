export type * from './ast.ts';
export { type QueryTiming, resolveDurations } from './durations.ts';
export { formatPosition, PromqlParseError } from './parse-error.ts';
export { parseExpression, parseMetric, parseSelector } from './parser.ts';
export { type JsonValue, toParseQueryJson } from './parse-query-json.ts';
export { expressionToString, formatExpression } from './printer.ts';
export { describeType, typeOf } from './type-check.ts';
