// Fused multiply-add in software: a × b + c rounded once, which neither JavaScript nor WebAssembly offers. The algorithm of
// S. Boldo and G. Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd" (2008):
// the product and all sums are kept with their errors, and the errors are added up with rounding to odd, so that rounding
// twice equals rounding once. Exact where no intermediate result over- or underflows; that is for callers to see to.

const splitter = 2 ** 27 + 1;
const aboveOne = 1 + 2 ** -52;
const belowOne = 1 - 2 ** -52;

const cell = new Float64Array(1);
const halves = new Uint32Array(cell.buffer);

/** a × b + c, rounded once. */
export function fma(a: number, b: number, c: number): number {
  // a × b = product + productError
  const aUpper = splitter * a - (splitter * a - a);
  const aLower = a - aUpper;
  const bUpper = splitter * b - (splitter * b - b);
  const bLower = b - bUpper;
  const product = a * b;
  const productError = aLower * bLower - (product - aUpper * bUpper - aLower * bUpper - aUpper * bLower);
  // c + productError = small + smallError
  const small = c + productError;
  const part = small - c;
  const smallError = c - (small - part) + (productError - part);
  // product + small = sum + sumError
  const sum = product + small;
  const share = sum - product;
  const sumError = product - (sum - share) + (small - share);
  // Rounding the errors' sum to nearest first is wrong only where the exact result lies all but half-way between two floats.
  const rest = smallError + sumError;
  const result = sum + rest;
  if (sum + rest * aboveOne === result && sum + rest * belowOne === result) return result;
  return sum + addRoundingToOdd(smallError, sumError);
}

/** a + b; where that is no float, the one of its two neighbours whose last bit is set. */
function addRoundingToOdd(a: number, b: number): number {
  const sum = a + b;
  const part = sum - a;
  const error = a - (sum - part) + (b - part);
  if (error === 0) return sum;
  cell[0] = sum;
  const low = halves[0] as number;
  if ((low & 1) === 1) return sum;
  // The neighbour on the other side of the exact sum: away from zero where the error has the sum's sign.
  if (error > 0 === sum > 0) {
    halves[0] = low + 1;
  } else {
    halves[0] = low - 1;
    if (low === 0) halves[1] = (halves[1] as number) - 1;
  }
  return cell[0];
}
