// Numbers as Go's %g prints them, for annotations and errors (results have formats of their own): the fewest digits
// that mean the value; with an exponent of at least two digits below 1e-4 and from 1e6 (or from 10^digits) on.

/** `digits`: at most that many significant ones (%.2g); undefined: as many as the value needs. */
export function formatGeneral(value: number, digits?: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const scientific = digits === undefined ? value.toExponential() : value.toExponential(digits - 1);
  const [mantissa = '', exponentText = '0'] = scientific.split('e');
  const trimmed = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa;
  const exponent = Number(exponentText);
  const digitsCount = trimmed.replace(/[-.]/g, '').length;
  if (exponent < -4 || exponent >= (digits ?? 6)) {
    const sign = exponent < 0 ? '-' : '+';
    return `${trimmed}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  return Number(scientific).toFixed(Math.max(0, digitsCount - 1 - exponent));
}
