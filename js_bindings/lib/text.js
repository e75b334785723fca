// Numbers and shapes as the Python package prints them, so that messages are the same.

/** Python's `{value:.{digits}g}`. */
export function general(value, digits = 6) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const short = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  const sign = Object.is(value, -0) ? "-" : "";
  if (exponent < -4 || exponent >= digits) {
    return `${short(mantissa)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  return sign + short(value.toFixed(digits - 1 - exponent));
}

/** A tuple: (28, 28, 1), (10,). */
export function tuple(numbers) {
  return numbers.length === 1 ? `(${numbers[0]},)` : `(${numbers.join(", ")})`;
}

/** Python's repr of a list of strings. */
export const list = (names) => `[${names.map((name) => `'${name}'`).join(", ")}]`;
