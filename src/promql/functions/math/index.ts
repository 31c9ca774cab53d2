export { exp, pow } from './exponentials.ts';
export { acosh, asinh, atanh, cosh, sinh, tanh } from './hyperbolic.ts';
export { log, log10, log1p, log2 } from './logarithms.ts';
export { acos, asin, atan, atan2, cos, sin, tan } from './trigonometry.ts';
