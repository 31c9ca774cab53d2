// Hyperbolic functions and their inverses, with the steps in the order of Go's math package: sinh after Hart and Cheney's
// coefficients (20.36D), tanh after Cephes (tanh.c, S. L. Moshier), the inverses after FreeBSD's msun. Those that need exp share
// its tolerance; the inverses are equal to the bit.
import { exp } from './exponentials.ts';
import { log, log1p } from './logarithms.ts';

export function sinh(x: number): number {
  const magnitude = x < 0 ? -x : x;
  let value: number;
  if (magnitude > 21) {
    value = exp(magnitude) * 0.5;
  } else if (magnitude > 0.5) {
    const power = exp(magnitude);
    value = (power - 1 / power) * 0.5;
  } else {
    const square = magnitude * magnitude;
    const numerator =
      (((-26.30563213397497 * square + -2894.211355989564) * square + -89912.72022039509) * square +
        -630767.3640497717) *
      magnitude;
    const denominator = ((square + -173.6789535582337) * square + 15215.17378790019) * square + -630767.3640497717;
    value = numerator / denominator;
  }
  return x < 0 ? -value : value;
}

export function cosh(x: number): number {
  const magnitude = Math.abs(x);
  const power = exp(magnitude);
  return magnitude > 21 ? power * 0.5 : (power + 1 / power) * 0.5;
}

const maxLog = 88.02969193111305;

export function tanh(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude > 0.5 * maxLog) return x < 0 ? -1 : 1;
  if (magnitude >= 0.625) {
    const value = 1 - 2 / (exp(2 * magnitude) + 1);
    return x < 0 ? -value : value;
  }
  if (x === 0) return x;
  const s = x * x;
  const numerator = (-0.9643991794250523 * s + -99.28772310019185) * s + -1614.6876844170845;
  const denominator = ((s + 112.81167849163293) * s + 2235.4883906010045) * s + 4844.063053251255;
  return x + (x * s * numerator) / denominator;
}

export function asinh(x: number): number {
  if (!Number.isFinite(x)) return x;
  const magnitude = x < 0 ? -x : x;
  let value: number;
  if (magnitude > 2 ** 28) value = log(magnitude) + Math.LN2;
  else if (magnitude > 2) value = log(2 * magnitude + 1 / (Math.sqrt(magnitude * magnitude + 1) + magnitude));
  else if (magnitude < 2 ** -28) value = magnitude;
  else value = log1p(magnitude + (magnitude * magnitude) / (1 + Math.sqrt(1 + magnitude * magnitude)));
  return x < 0 ? -value : value;
}

export function acosh(x: number): number {
  if (!(x >= 1)) return NaN;
  if (x === 1) return 0;
  if (x >= 2 ** 28) return log(x) + Math.LN2;
  if (x > 2) return log(2 * x - 1 / (x + Math.sqrt(x * x - 1)));
  const t = x - 1;
  return log1p(t + Math.sqrt(2 * t + t * t));
}

export function atanh(x: number): number {
  if (!(x >= -1 && x <= 1)) return NaN;
  if (x === 1) return Infinity;
  if (x === -1) return -Infinity;
  const magnitude = x < 0 ? -x : x;
  let value: number;
  if (magnitude < 2 ** -28) {
    value = magnitude;
  } else if (magnitude < 0.5) {
    const doubled = magnitude + magnitude;
    value = 0.5 * log1p(doubled + (doubled * magnitude) / (1 - magnitude));
  } else {
    value = 0.5 * log1p((magnitude + magnitude) / (1 - magnitude));
  }
  return x < 0 ? -value : value;
}
