// What a tensor of a .dqnn file holds, and arrays of JavaScript as inputs take them. Real values become stored ones, and back, in C
// (dqnn_values.h), by the rounding that the file names.
import { ValueError } from "./errors.js";
import { general, tuple } from "./text.js";

export const WORD = 32; // elements of a row of s1 to a word
export const DTYPES = ["s1", "s8", "f32"]; // by DType of schema/dqnn.fbs
const ROUNDINGS = ["keras", "divide_even", "divide_away"];
const STORED = { s1: Uint32Array, s8: Int8Array, f32: Float32Array };
const NAMES = new Map([
  [Uint8Array, "uint8"], [Uint8ClampedArray, "uint8"], [Int8Array, "int8"], [Uint16Array, "uint16"], [Int16Array, "int16"],
  [Uint32Array, "uint32"], [Int32Array, "int32"], [Float32Array, "float32"], [Float64Array, "float64"],
]);
const REALS = ["float32", "float64"];

export const product = (shape) => shape.reduce((total, n) => total * n, 1);
export const words = (elements) => Math.ceil(elements / WORD);

/** One tensor of a model; shapes have no batch dimension. */
export class TensorInfo {
  constructor(name, port) {
    this.name = name;
    this.shape = Object.freeze(port.shape);
    this.dtype = DTYPES[port.dtype];
    this.scale = port.scale;
    this.zeroPoint = port.zeroPoint;
    const s8 = this.dtype === "s8";
    const sampled = s8 && port.sampleScale !== 0 && Number.isFinite(port.sampleScale) && Number.isFinite(port.sampleOffset);
    this.sample = sampled ? Object.freeze([port.sampleScale, port.sampleOffset]) : null;
    this.rounding = (s8 && ROUNDINGS[port.rounding]) || ROUNDINGS[0];
    this.inverse = Number.isFinite(port.inverse) && port.inverse > 0 ? port.inverse : null;
    this.unsigned = s8 && port.u8;
    Object.freeze(this);
  }

  get storedShape() {
    return this.dtype === "s1" ? [...this.shape.slice(0, -1), words(this.shape.at(-1))] : [...this.shape];
  }

  get storedDtype() {
    return this.unsigned ? "uint8" : { s1: "uint32", s8: "int8", f32: "float32" }[this.dtype];
  }

  get bytes() {
    return product(this.storedShape) * STORED[this.dtype].BYTES_PER_ELEMENT;
  }

  /** [scale, offset] of a Uint8Array, samples or codes; null where such an array holds real values. */
  get byteMeaning() {
    return this.unsigned ? [this.scale, -this.scale * (this.zeroPoint + 128)] : this.sample;
  }

  toString() {
    const text = `'${this.name}' ${this.dtype} ${tuple(this.shape)}`;
    if (this.sample !== null) {
      return `${text} of uint8 samples, real = ${general(this.sample[0])} * sample + ${general(this.sample[1])}`;
    }
    if (this.dtype !== "s8") return text;
    const scaled = `${text} scale ${general(this.scale)} zero point ${this.zeroPoint}`;
    return this.unsigned ? `${scaled}, uint8 codes of 128 more` : scaled;
  }
}

// ---- arrays ----

/** An array from a user: its values in a row, its shape (null for a typed array, which has none), its element type. */
export function asArray(info, value) {
  const dtype = NAMES.get(value?.constructor);
  if (dtype !== undefined) return { values: value, shape: null, dtype };
  if (!Array.isArray(value)) {
    throw new ValueError(`input ${info} takes numbers, got ${value === null ? "null" : (value?.constructor?.name ?? typeof value)}`);
  }
  const shape = [];
  for (let part = value; isArray(part); part = part[0]) shape.push(part.length);
  const values = new Float64Array(product(shape));
  fill(info, value, shape, values, 0);
  return { values, shape, dtype: "float64" };
}

const isArray = (value) => Array.isArray(value) || NAMES.has(value?.constructor);

function fill(info, part, shape, values, at) {
  if (!isArray(part) || part.length !== shape[0]) {
    throw new ValueError(`input ${info} takes an array; its rows have different lengths`);
  }
  const [, ...inner] = shape;
  const step = product(inner);
  part.forEach((one, i) => {
    if (inner.length) fill(info, one, inner, values, at + i * step);
    else values[at + i] = number(info, one);
  });
}

function number(info, value) {
  if (isArray(value)) throw new ValueError(`input ${info} takes an array; its rows have different lengths`);
  if (typeof value === "number" || typeof value === "boolean") return Number(value);
  throw new ValueError(`input ${info} takes numbers, got an array of ${value === null ? "null" : typeof value}`);
}

/** ValueError unless the array has the expected shape, after a batch dimension where there is one; typed arrays: as many values. Gives the
 * number of samples. */
export function checkShape(info, { values, shape }, expected, batch) {
  const size = product(expected);
  const got = shape ?? [values.length];
  const right = shape === null ? (batch ? values.length % size === 0 : values.length === size) : same(shape.slice(batch), expected) && shape.length === expected.length + batch;
  if (right) return shape === null ? values.length / size : batch ? shape[0] : 1;
  const wanted = batch ? `(${["batch", ...expected].join(", ")})` : tuple(expected);
  throw new ValueError(`input ${info} expects shape ${wanted}, got ${tuple(got)}${shapeHint(got, expected, batch)}`);
}

export const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

/** What a wrong shape probably is, and what to write; empty if it looks like nothing known. */
function shapeHint(shape, expected, batch) {
  if (!batch && same(shape.slice(1), expected)) return "; one sample has no batch dimension, predict() takes batches";
  if (batch && same(shape, expected)) return "; for one sample add a batch dimension: [x]";
  const given = shape.slice(batch);
  if (given.length === expected.length && expected.length > 1 && same([...given.slice(1), given[0]], expected)) {
    return "; it looks channel-first: move the first axis of a sample to the end";
  }
  return "";
}

/** The place of a value in an array of this shape. */
export function unravel(index, shape) {
  const place = [];
  for (let axis = shape.length - 1, rest = index; axis >= 0; --axis) {
    place.unshift(rest % shape[axis]);
    rest = Math.floor(rest / shape[axis]);
  }
  return place;
}

/** uint8 samples or codes as they are stored, and back: u - 128. */
export function flipped(bytes) {
  return Uint8Array.from(bytes, (byte) => byte ^ 0x80);
}

export const isWhole = (dtype) => !REALS.includes(dtype);

/** An array given with raw: true as the bytes that are stored. */
export function storedBytes(info, { values, shape, dtype }) {
  if (dtype !== info.storedDtype) {
    const got = shape === null ? dtype : "a list";
    throw new ValueError(`input ${info} with raw: true takes ${info.storedDtype} stored values, got ${got}`);
  }
  const tail = info.shape.at(-1) % WORD;
  if (info.dtype === "s1" && tail) {
    const row = info.storedShape.at(-1);
    for (let i = row - 1; i < values.length; i += row) {
      if (values[i] >>> tail) throw new ValueError(`input ${info}: bits ${tail} to 31 of a row's last word must be 0`);
    }
  }
  return info.unsigned ? flipped(values) : new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Bytes of a stored tensor (a copy of its own) as the user gets them with raw: true. */
export function asRaw(info, bytes) {
  return info.unsigned ? flipped(bytes) : new STORED[info.dtype](bytes.buffer);
}

// ---- bits ----

const TINY = 2 ** -126; // below it floats are denormal

function checkCount(what, values, count) {
  if (!Number.isInteger(count) || count < 1) throw new ValueError(`${what} takes rows of 1 or more elements, got ${count}`);
  return values;
}

/** Signs of rows of `count` elements, 32 to a word: negative is bit 1, all else (0 and negative denormals, too) bit 0. */
export function packS1(real, count) {
  checkCount("packS1", real, count);
  if (!isArray(real) || real.length % count !== 0) {
    throw new ValueError(`packS1 takes an array of numbers, whole rows of ${count}, got ${real?.length ?? typeof real}`);
  }
  const row = words(count);
  const packed = new Uint32Array((real.length / count) * row);
  for (let i = 0; i < real.length; ++i) {
    const at = i % count;
    if (real[i] <= -TINY) packed[Math.floor(i / count) * row + Math.floor(at / WORD)] |= 1 << at % WORD;
  }
  return packed;
}

/** The elements of packed rows of `count`: +1 and -1. */
export function unpackS1(packed, count) {
  checkCount("unpackS1", packed, count);
  const row = words(count);
  if (!(packed instanceof Uint32Array) || packed.length % row !== 0) {
    const got = `${NAMES.get(packed?.constructor) ?? typeof packed} of ${packed?.length}`;
    throw new ValueError(`unpackS1 takes uint32, ${row} for ${count} elements, got ${got}`);
  }
  return Float32Array.from({ length: (packed.length / row) * count }, (_, i) => {
    const at = i % count;
    return (packed[Math.floor(i / count) * row + Math.floor(at / WORD)] >>> at % WORD) & 1 ? -1 : 1;
  });
}
