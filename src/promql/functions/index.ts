export { type FloatFunction, floatFunctions, maxOf, minOf } from './float-functions.ts';
export { KahanSum } from './kahan.ts';
export { labelReplace, naturalCompare } from './labels.ts';
export { bucketFraction, bucketQuantile, MonotonicityReport, quantileOf, sortedQuantileOf } from './quantile.ts';
export { isIntegralStrategy } from './over-time.ts';
export { rangeFunctions } from './range-functions.ts';
export type { RangeFunction, RangeWindow } from './range-window.ts';
export { smoothingProblem } from './rate.ts';
export { type FunctionSignature, functionSignatures } from './signatures.ts';
