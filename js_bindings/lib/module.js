// dqnn.wasm: compiled once, instantiated for every model. Memory of an instance goes when its interpreter goes.
import { bytesOf, platform } from "./source.js";

const ALIGNMENT = 16; // of all that `place` gives; dqnn.h asks for it
const PAGE = 65536;
const MOST = 2 ** 32 - PAGE; // addresses have 32 bits

let compiled = null;

/** Takes dqnn.wasm from elsewhere than beside the package: its bytes, an address, a Response, a WebAssembly.Module, or a promise. */
export function useWasm(source) {
  compiled = Promise.resolve(source).then(compile);
  compiled.catch(() => {}); // told by open()
}

async function compile(source) {
  if (source instanceof WebAssembly.Module) return source;
  const bytes = bytesOf(source) ?? (await (typeof source?.arrayBuffer === "function" ? source.arrayBuffer() : platform.read(source)));
  return WebAssembly.compile(bytes);
}

async function compiledModule() {
  if (compiled === null) useWasm(new URL("../dqnn.wasm", import.meta.url));
  try {
    return await compiled;
  } catch (error) {
    compiled = null; // a server that did not answer may do so the next time
    throw error;
  }
}

/** An instance of dqnn.wasm: its functions under `call`, and its memory. */
export class Instance {
  #heap; // where free memory begins

  static async make() {
    const made = new Instance();
    const imports = { dqnn: { on_node: (node, begin) => made.onNode(node, begin !== 0) } };
    const instance = await WebAssembly.instantiate(await compiledModule(), imports);
    made.call = instance.exports;
    made.#heap = instance.exports.__heap_base.value;
    return made;
  }

  /** Called before and after each node while the module's `watch` is on. */
  onNode() {}

  /** Zeroed memory for so many bytes: its address, kept for good. */
  place(bytes) {
    const at = Math.ceil(this.#heap / ALIGNMENT) * ALIGNMENT;
    const pages = Math.ceil((at + bytes - this.call.memory.buffer.byteLength) / PAGE);
    if (pages > 0) this.#grow(pages, at + bytes);
    this.#heap = at + bytes;
    return at;
  }

  #grow(pages, end) {
    try {
      if (end > MOST) throw new RangeError("beyond 32 bits");
      this.call.memory.grow(pages);
    } catch {
      throw new RangeError(`the model needs ${end} bytes of memory, more than WebAssembly gets here`);
    }
  }

  placeBytes(bytes) {
    const at = this.place(bytes.length);
    this.bytes(at, bytes.length).set(bytes);
    return at;
  }

  /** A view that holds until memory grows. */
  bytes(at, count) {
    return new Uint8Array(this.call.memory.buffer, at >>> 0, count);
  }

  floats(at, count) {
    return new Float32Array(this.call.memory.buffer, at >>> 0, count);
  }

  /** A string that ends with a zero; a name from a file may hold any bytes. */
  text(at) {
    const start = at >>> 0;
    const memory = new Uint8Array(this.call.memory.buffer);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(memory.subarray(start, memory.indexOf(0, start)));
  }
}
