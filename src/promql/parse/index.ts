export type * from './ast.ts';
export { formatPosition, PromqlParseError } from './parse-error.ts';
export { parseExpression, parseMetric, parseSelector } from './parser.ts';
export { describeType, typeOf } from './type-check.ts';
