// Types of the package `dqnn`. What is named as in Python behaves as there; values are typed arrays with the last axis innermost.

export type DType = "s1" | "s8" | "f32";
/** How a real x becomes a code of s8: x times the inverse of the scale, half to even; x / scale, half to even; half away from zero. */
export type Rounding = "keras" | "divide_even" | "divide_away";
export type TypedArray =
  | Uint8Array | Uint8ClampedArray | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array | Float64Array;
/** Nested lists have a shape, which is checked; a typed array has to have as many values. */
export type Values = TypedArray | NestedNumbers;
export type NestedNumbers = ReadonlyArray<number | NestedNumbers | TypedArray>;
/** What `raw: true` gives and takes: packed words of s1, codes of s8 (Uint8Array where `unsigned`), floats of f32. */
export type Stored = Uint32Array | Int8Array | Uint8Array | Float32Array;
/** Where a model comes from: a path (Node) or an address, an URL, what `fetch` gave, a dropped file, or its bytes. */
export type Source = string | URL | Response | Blob | ArrayBufferLike | ArrayBufferView;

/** A wrong argument: the message says what was expected. */
export class ValueError extends Error {}

/** A file was refused. Fields that do not apply are null. */
export class BlobError extends ValueError {
  /** As in dqnn.h, in small letters: "truncated", "kernel_shape". */
  readonly status: string;
  readonly code: number;
  readonly node: number | null;
  readonly kernel: string | null;
  readonly tensor: number | null;
  readonly check: string;
  /** The message without the file's name. */
  readonly detail: string;
}

/** One tensor of a model; shapes have no batch dimension. */
export class TensorInfo {
  private constructor();
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Of s8: real = scale * (stored - zeroPoint); else 1 and 0. */
  readonly scale: number;
  readonly zeroPoint: number;
  /** [scale, offset] of an input of raw uint8 samples, whose real value is scale * sample + offset; else null. */
  readonly sample: readonly [number, number] | null;
  readonly rounding: Rounding;
  /** What the rounding "keras" multiplies by; null: the inverse of the scale. */
  readonly inverse: number | null;
  /** Users know the codes as uint8, 128 more than what is stored. */
  readonly unsigned: boolean;
  get storedShape(): number[];
  get storedDtype(): "uint32" | "int8" | "uint8" | "float32";
  /** Size of the stored tensor. */
  get bytes(): number;
  /** [scale, offset] of a Uint8Array, which holds samples or codes; null where it would hold real values. */
  get byteMeaning(): readonly [number, number] | null;
  toString(): string;
}

/** One step of a model: the layers of the original that it computes, its kernel, its variant, and where its scratch lies in the arena. */
export interface NodeInfo {
  readonly layer: string;
  readonly kernel: string;
  readonly isa: string;
  /** Indices of `tensors`. */
  readonly inputs: readonly number[];
  readonly output: number;
  readonly scratchOffset: number;
  readonly scratchBytes: number;
}

/** An activation and where it lies in the arena. `bytes` is what memory holds of it: some rows in models that run in strips. */
export interface TensorPlace {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly scale: number;
  readonly zeroPoint: number;
  readonly bytes: number;
  readonly offset: number;
}

export interface NodeTime {
  readonly node: NodeInfo;
  readonly seconds: number;
}

export interface NodeValue<T = Float32Array> {
  readonly node: NodeInfo;
  readonly tensor: TensorInfo;
  readonly value: T;
}

export interface OpenOptions {
  /** Instruction sets that may be used, "ref" or "portable"; no result depends on them. */
  isas?: string | readonly string[];
  /** Told of values that are hardly meant, once for each input; console.warn if left out. */
  warn?: (message: string) => void;
}

export interface Raw {
  raw: true;
}
export interface Real {
  raw?: false;
}

/** One model, ready to run, in memory of its own that goes when it goes. */
export class Interpreter {
  private constructor();
  /** Reads, checks and loads a model. BlobError for a file that is refused, RangeError for one that wants more memory than there is. */
  static open(source: Source, options?: OpenOptions): Promise<Interpreter>;

  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** As the exporter stored them. */
  readonly name: string;
  readonly producer: string;
  readonly modelId: number;
  readonly modelVersion: number;
  /** Sizes; memory = arena + state, as on a 32-bit microcontroller. */
  readonly fileBytes: number;
  readonly arenaBytes: number;
  readonly stateBytes: number;
  readonly memoryBytes: number;

  /** Sets one input, by index or name. It keeps its value over invokes. A Uint8Array for an input of samples or of uint8 codes holds those. */
  setInput(which: number | string, value: Values, options?: { raw?: boolean }): void;
  /** Feeds the next rows of an input that was exported with feed_rows; gives how many are missing until invoke(). Such models take whole inputs, too. */
  feedRows(rows: Values, options?: { raw?: boolean }): number;
  /** Forgets the rows fed since the last invoke. */
  feedAnew(): void;
  /** Runs the model once. An input that was never set is all zero bytes. */
  invoke(): void;
  /** One output of the last invoke: real values, or the stored ones. */
  getOutput(which: number | string | undefined, options: Raw): Stored;
  getOutput(which?: number | string, options?: Real): Float32Array;

  /** Runs a batch: samples behind each other for one input; an object by name or a list in order for several. Gives the outputs of all
   * samples behind each other, by name for a model with several outputs. Inputs that are set, and outputs of invoke, are left alone. */
  predict(batch: Values | readonly Values[] | { readonly [name: string]: Values }, options: Raw): Stored | Record<string, Stored>;
  predict(batch: Values | readonly Values[] | { readonly [name: string]: Values }, options?: Real): Float32Array | Record<string, Float32Array>;

  /** The nodes in execution order. */
  get nodes(): NodeInfo[];
  /** All activations, inputs and outputs among them. */
  get tensors(): TensorPlace[];
  /** Runs the inputs that are set `repeats` times (10) and gives each node's mean time. Browsers' clocks have steps of 5 to 100 us. */
  profile(repeats?: number): NodeTime[];
  /** Runs the inputs that are set once and gives every node's output. */
  trace(options: Raw): NodeValue<Stored>[];
  trace(options?: Real): NodeValue[];
  /** Bytes of the arena that a run with the inputs that are set touches, measured by painting it. */
  highWater(): number;
  toString(): string;
}

/** Signs of rows of `count` elements, 32 to a word: negative is bit 1, all else (0 and negative denormals, too) bit 0. */
export function packS1(real: ArrayLike<number>, count: number): Uint32Array;
/** The elements of packed rows of `count`: +1 and -1. */
export function unpackS1(packed: Uint32Array, count: number): Float32Array;

/** Takes dqnn.wasm from elsewhere than beside the package: its bytes, an address, a Response, a WebAssembly.Module, or a promise of one. */
export function useWasm(source: WasmSource | Promise<WasmSource>): void;
export type WasmSource = string | URL | Response | ArrayBufferLike | ArrayBufferView | WebAssembly.Module;
