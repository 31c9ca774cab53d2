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
      (((-0.2630563213397497062819489e2 * square + -0.2894211355989563807284660366e4) * square +
        -0.8991272022039509355398013511e5) *
        square +
        -0.6307673640497716991184787251e6) *
      magnitude;
    const denominator =
      ((square + -0.173678953558233699533450911e3) * square + 0.1521517378790019070696485176e5) * square +
      -0.6307673640497716991212077277e6;
    value = numerator / denominator;
  }
  return x < 0 ? -value : value;
}

export function cosh(x: number): number {
  const magnitude = Math.abs(x);
  const power = exp(magnitude);
  return magnitude > 21 ? power * 0.5 : (power + 1 / power) * 0.5;
}

const maxLog = 8.8029691931113054295988e1;

export function tanh(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude > 0.5 * maxLog) return x < 0 ? -1 : 1;
  if (magnitude >= 0.625) {
    const value = 1 - 2 / (exp(2 * magnitude) + 1);
    return x < 0 ? -value : value;
  }
  if (x === 0) return x;
  const s = x * x;
  const numerator = (-9.64399179425052238628e-1 * s + -9.92877231001918586564e1) * s + -1.61468768441708447952e3;
  const denominator = ((s + 1.12811678491632931402e2) * s + 2.23548839060100448583e3) * s + 4.84406305325125486048e3;
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
