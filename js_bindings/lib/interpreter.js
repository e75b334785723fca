// Runs .dqnn files with the very code that runs on a microcontroller, compiled to WebAssembly: same bits, same sentences as the Python
// package's Interpreter.
import { BlobError, ValueError } from "./errors.js";
import { Instance } from "./module.js";
import { checkMeant, checkSamples } from "./ranges.js";
import { modelBytes, whatElse } from "./source.js";
import { asArray, asRaw, checkShape, flipped, product, same, storedBytes, TensorInfo, unravel } from "./tensors.js";
import { list, tuple } from "./text.js";

const PAD = 4; // floats are aligned to it
const REF = 1; // the mask of the reference kernels, which are always allowed

export class Interpreter {
  #wasm; // the module's instance
  #kept; // where inputs wait for invoke, which reuses their own memory, and outputs for whoever asks
  #values; // floats on their way between JavaScript and a tensor
  #room; // for what trace converts, once it was asked to
  #invoked = false;
  #fed; // where whole samples of an input that is fed by rows lie on their way; undefined where none is
  #fedRows = 0; // of the frame that is being fed
  #warned = new Set(); // inputs whose values were warned of
  #warn;

  /** Use `await Interpreter.open(source)`. */
  constructor(wasm, { name, bytes, isas, warn }) {
    if (!(wasm instanceof Instance)) throw new ValueError("an Interpreter is made by: await Interpreter.open(source)");
    this.#wasm = wasm;
    this.#warn = warn;
    this.#load(name, bytes, isas === undefined ? 0 : maskOf(wasm, isas));
    this.inputs = this.#ports("input", wasm.call.need_inputs());
    this.outputs = this.#ports("output", wasm.call.need_outputs());
    const place = (info) => wasm.place(info.bytes);
    this.#kept = { input: this.inputs.map(place), output: this.outputs.map(place) };
    if (wasm.call.select_feed() === 0) this.#fed = wasm.place(this.inputs[0].bytes);
    const counts = [...this.inputs, ...this.outputs].map((info) => product(info.shape));
    this.#values = wasm.place(4 * Math.max(...counts));
  }

  /** Reads, checks and loads a model: a path or an address, an URL, a Response, a File or Blob, or bytes. */
  static async open(source, { isas, warn = (message) => console.warn(message) } = {}) {
    const [wasm, model] = await Promise.all([Instance.make(), modelBytes(source)]);
    return new Interpreter(wasm, { ...model, isas, warn });
  }

  #load(name, bytes, mask) {
    const { call } = this.#wasm;
    const blob = this.#wasm.placeBytes(bytes);
    const refuse = (status) => {
      if (status !== 0) throw blobError(this.#wasm, status, name, bytes);
    };
    refuse(call.requirements(blob, bytes.length));
    refuse(call.verify(blob, bytes.length, mask)); // a file that is refused gets no memory, however much it asks for
    const size = call.need_memory_bytes() >>> 0;
    const memory = this.#wasm.place(size);
    refuse(call.init(memory, size, blob, bytes.length, mask));
    this.name = this.#wasm.text(call.model_name());
    this.producer = this.#wasm.text(call.model_producer());
    this.fileBytes = call.model_file_bytes() >>> 0;
    this.arenaBytes = call.need_arena_bytes() >>> 0;
    this.stateBytes = call.need_state_bytes() >>> 0;
    this.memoryBytes = size;
    this.modelId = call.model_model_id() >>> 0;
    this.modelVersion = call.model_model_version();
  }

  /** Infos with unique names, so that each can be addressed by name. */
  #ports(kind, count) {
    const infos = [];
    for (let i = 0; i < count; ++i) {
      this.#select(kind, i);
      const port = selected(this.#wasm);
      const name = port.name || `${kind}_${i}`;
      infos.push(new TensorInfo(infos.some((info) => info.name === name) ? `${name}_${i}` : name, port));
    }
    return Object.freeze(infos);
  }

  #select(kind, i) {
    this.#wasm.call[`select_${kind}`](i);
  }

  toString() {
    const ports = `${this.inputs.join("; ")} -> ${this.outputs.join("; ")}`;
    return `<dqnn.Interpreter ${this.name || "unnamed"}: ${ports}; ${this.fileBytes} B file, ${this.memoryBytes} B memory>`;
  }

  // ---- one sample ----

  setInput(which, value, { raw = false } = {}) {
    const at = find("input", this.inputs, which);
    const info = this.inputs[at];
    const array = asArray(info, value);
    const expected = raw ? info.storedShape : info.shape;
    if (array.shape !== null && same(array.shape, [1, ...expected])) array.shape = expected;
    checkShape(info, array, expected, 0);
    this.#check(info, array, raw, info.shape);
    this.#store(at, array, raw, this.#kept.input[at]);
  }

  /** Of one sample or of a batch: refuses what is no value, warns of what hardly is meant. */
  #check(info, array, raw, shape) {
    if (raw || isBytes(info, array)) return;
    const nan = array.values.findIndex(Number.isNaN);
    if (nan >= 0) throw new ValueError(`input ${info} cannot take NaN (found at ${tuple(unravel(nan, shape))})`);
    const said = { samples: info.sample === null ? "" : checkSamples(info, array), range: checkMeant(info, array) };
    for (const [kind, text] of Object.entries(said)) {
      if (text && !this.#warned.has(`${kind} ${info.name}`)) this.#warn(text);
      if (text) this.#warned.add(`${kind} ${info.name}`);
    }
  }

  /** Writes a sample to memory of input `at`. */
  #store(at, array, raw, to, bytes = this.inputs[at].bytes) {
    const info = this.inputs[at];
    if (raw || isBytes(info, array)) {
      this.#wasm.bytes(to, bytes).set(raw ? storedBytes(info, array) : flipped(array.values));
      return;
    }
    this.#wasm.floats(this.#values, array.values.length).set(array.values);
    this.#select("input", at);
    this.#wasm.call.store_f32(to, this.#values, array.values.length);
  }

  /** Rows of an input that is fed; gives how many are still missing. */
  feedRows(rows, { raw = false } = {}) {
    const [info] = this.inputs;
    if (this.#fed === undefined) throw new Error("this model's input is not fed by rows (export with feed_rows)");
    const [, ...row] = raw ? info.storedShape : info.shape;
    const array = asArray(info, rows);
    const size = product(row);
    const single = array.shape !== null && same(array.shape, row);
    const several = array.shape === null ? array.values.length % size === 0 : same(array.shape.slice(1), row);
    if (!single && !several) {
      const got = tuple(array.shape ?? [array.values.length]);
      throw new ValueError(`input '${info.name}' takes rows of shape ${tuple(row)}, or several (n, ...), got ${got}`);
    }
    const count = array.values.length / size;
    this.#check(info, array, raw, single ? row : [count, ...row]);
    const bytes = info.bytes / info.shape[0];
    const missing = info.shape[0] - this.#fedRows;
    if (count > missing) {
      throw new ValueError(`the input takes rows of ${bytes} bytes, ${missing} more until invoke(), got ${count * bytes} bytes`);
    }
    this.#store(0, array, raw, this.#fed, count * bytes);
    this.#wasm.call.feed_rows(this.#fed, count);
    this.#fedRows += count;
    return missing - count;
  }

  feedAnew() {
    this.#fedRows = 0;
    this.#wasm.call.feed_anew();
  }

  /** Refuses what would take the arena away from a frame. */
  #notFeeding() {
    if (this.#fedRows > 0) throw new Error(`a frame is being fed: ${this.#missing()}; invoke() ends it, feedAnew() forgets it`);
  }

  #missing() {
    return `the frame that is being fed needs ${this.inputs[0].shape[0] - this.#fedRows} more rows`;
  }

  /** Where the interpreter has an input or output. */
  #place(kind, i) {
    this.#select(kind, i);
    return this.#wasm.call.tensor_data();
  }

  #copy(from, to, bytes) {
    this.#wasm.bytes(to, bytes).set(this.#wasm.bytes(from, bytes));
  }

  /** With the inputs that are set. */
  #run() {
    this.#notFeeding();
    if (this.#fed !== undefined) this.#wasm.call.feed_rows(this.#kept.input[0], this.inputs[0].shape[0]);
    else this.inputs.forEach((info, i) => this.#copy(this.#kept.input[i], this.#place("input", i), info.bytes));
    this.#wasm.call.invoke();
  }

  invoke() {
    if (this.#fedRows === 0) this.#run();
    else if (this.#wasm.call.invoke() !== 0) throw new Error(this.#missing());
    this.#fedRows = 0;
    this.outputs.forEach((info, i) => this.#copy(this.#place("output", i), this.#kept.output[i], info.bytes));
    this.#invoked = true;
  }

  getOutput(which = 0, { raw = false } = {}) {
    const at = find("output", this.outputs, which);
    if (!this.#invoked) throw new Error("invoke() has not run yet");
    return this.#fetched(at, raw, this.#kept.output[at]);
  }

  /** Output `at` from memory. */
  #fetched(at, raw, from) {
    const info = this.outputs[at];
    if (raw) return asRaw(info, this.#wasm.bytes(from, info.bytes).slice());
    this.#select("output", at);
    const count = product(info.shape);
    this.#wasm.call.load_f32(from, this.#values, count);
    return this.#wasm.floats(this.#values, count).slice();
  }

  // ---- many ----

  predict(batch, { raw = false } = {}) {
    const expected = this.inputs.map((info) => (raw ? info.storedShape : info.shape));
    const arrays = this.#inOrder(batch).map((value, i) => asArray(this.inputs[i], value));
    const lengths = arrays.map((array, i) => checkShape(this.inputs[i], array, expected[i], 1));
    const [count] = lengths;
    if (new Set(lengths).size > 1) {
      const found = lengths.map((length, i) => `'${this.inputs[i].name}': ${length}`).join(", ");
      throw new ValueError(`all inputs of a batch need the same number of samples, got {${found}}`);
    }
    arrays.forEach((array, i) => this.#check(this.inputs[i], array, raw, [count, ...expected[i]]));
    this.#notFeeding();
    const results = this.outputs.map((info) => emptyBatch(info, count, raw));
    for (let sample = 0; sample < count; ++sample) {
      arrays.forEach((array, i) => this.#store(i, part(array, sample, product(expected[i])), raw, this.#fed ?? this.#place("input", i)));
      if (this.#fed !== undefined) this.#wasm.call.feed_rows(this.#fed, this.inputs[0].shape[0]);
      this.#wasm.call.invoke();
      results.forEach((result, i) => {
        result.set(this.#fetched(i, raw, this.#place("output", i)), (sample * result.length) / count);
      });
    }
    if (results.length === 1) return results[0];
    return Object.fromEntries(this.outputs.map((info, i) => [info.name, results[i]]));
  }

  #inOrder(batch) {
    const names = this.inputs.map((info) => info.name);
    const plain = batch !== null && typeof batch === "object" && !Array.isArray(batch) && !ArrayBuffer.isView(batch);
    if (plain) {
      const missing = names.filter((name) => !Object.hasOwn(batch, name)).sort();
      const unknown = Object.keys(batch).filter((name) => !names.includes(name)).sort();
      if (missing.length || unknown.length) {
        throw new ValueError(`predict needs the inputs ${list(names)}: missing ${list(missing)}, unknown ${list(unknown)}`);
      }
      return names.map((name) => batch[name]);
    }
    if (names.length === 1) return [batch];
    if (!Array.isArray(batch) || batch.length !== names.length) {
      throw new ValueError(`this model has ${names.length} inputs: give predict an object with ${list(names)}, or a list in this order`);
    }
    return batch;
  }

  // ---- looking inside ----

  get nodes() {
    const { call } = this.#wasm;
    return Array.from({ length: call.need_nodes() }, (_, i) => {
      call.select_node(i);
      return {
        layer: this.#wasm.text(call.node_layer()),
        kernel: this.#wasm.text(call.kernel_name(call.node_kernel())),
        isa: this.#wasm.text(call.isa_name(call.node_isa())),
        inputs: Array.from({ length: call.node_input_count() }, (_, k) => call.node_input(k)),
        output: call.node_output(),
        scratchOffset: call.node_scratch_offset() >>> 0,
        scratchBytes: call.node_scratch_bytes() >>> 0,
      };
    });
  }

  get tensors() {
    const { call } = this.#wasm;
    const arena = call.model_arena() >>> 0;
    return Array.from({ length: call.need_tensors() }, (_, i) => {
      this.#select("tensor", i);
      const { shape, dtype, scale, zeroPoint } = new TensorInfo("", selected(this.#wasm));
      const kept = call.tensor_bytes() >>> 0; // by memory: less than all of it where that holds some rows
      return { shape, dtype, scale, zeroPoint, bytes: kept, offset: (call.tensor_data() >>> 0) - arena };
    });
  }

  /** Runs with `onNode(index, begin)` called at every node. */
  #watched(onNode) {
    this.#wasm.onNode = onNode;
    this.#wasm.call.watch(1);
    try {
      this.#run();
    } finally {
      this.#wasm.call.watch(0);
    }
  }

  profile(repeats = 10) {
    if (!(Number.isInteger(repeats) && repeats >= 1)) throw new ValueError(`repeats must be at least 1, got ${repeats}`);
    const times = this.nodes.map((node) => ({ node, seconds: 0 }));
    let start = 0;
    for (let i = 0; i < repeats; ++i) {
      this.#watched((index, begin) => {
        if (begin) start = performance.now();
        else times[index].seconds += (performance.now() - start) / 1000 / repeats;
      });
    }
    return times;
  }

  trace({ raw = false } = {}) {
    const { call } = this.#wasm;
    const values = this.nodes.map((node) => {
      this.#select("tensor", node.output);
      const tensor = new TensorInfo(node.layer, selected(this.#wasm));
      return { node, tensor, bytes: new Uint8Array(tensor.bytes) };
    });
    this.#watched((index, begin) => {
      if (begin) return;
      call.select_rows_made(index);
      const made = call.tensor_bytes() >>> 0;
      const row = made / call.tensor_dim(0);
      values[index].bytes.set(this.#wasm.bytes(call.tensor_data(), made), call.rows_first() * row);
    });
    if (raw) return values.map(({ node, tensor, bytes }) => ({ node, tensor, value: asRaw(tensor, bytes) }));
    this.#room ??= this.#wasm.place(Math.max(...values.map(({ tensor }) => tensor.bytes + PAD + 4 * product(tensor.shape))));
    return values.map(({ node, tensor, bytes }) => ({ node, tensor, value: this.#real(node.output, bytes, product(tensor.shape)) }));
  }

  /** Real values of a whole tensor, which the arena need not hold. */
  #real(index, bytes, count) {
    const to = this.#room + bytes.length + (-bytes.length & (PAD - 1));
    this.#wasm.bytes(this.#room, bytes.length).set(bytes);
    this.#select("tensor", index);
    this.#wasm.call.load_f32(this.#room, to, count);
    return this.#wasm.floats(to, count).slice();
  }

  highWater() {
    const arena = this.#wasm.call.model_arena();
    let touched = 0;
    for (const colour of [0xa5, 0x5a]) {
      this.#wasm.bytes(arena, this.arenaBytes).fill(colour);
      this.#run();
      const memory = this.#wasm.bytes(arena, this.arenaBytes);
      let end = this.arenaBytes;
      while (end > touched && memory[end - 1] === colour) --end;
      touched = end;
    }
    return touched;
  }
}

/** Whether an array holds samples or codes rather than real values. */
const isBytes = (info, { dtype }) => dtype === "uint8" && info.byteMeaning !== null;

/** Fields of the tensor that was selected last. */
function selected(wasm) {
  const { call } = wasm;
  return {
    name: wasm.text(call.tensor_name()),
    shape: Array.from({ length: call.tensor_rank() }, (_, i) => call.tensor_dim(i) >>> 0),
    dtype: call.tensor_dtype(),
    scale: call.tensor_scale(),
    zeroPoint: call.tensor_zero_point(),
    sampleScale: call.tensor_sample_scale(),
    sampleOffset: call.tensor_sample_offset(),
    rounding: call.tensor_rounding(),
    inverse: call.tensor_inverse(),
    u8: call.tensor_u8() !== 0,
  };
}

function find(kind, infos, which) {
  const listed = () => infos.map((info, i) => `${info} (index ${i})`).join(", ");
  if (typeof which === "string") {
    const at = infos.findIndex((info) => info.name === which);
    if (at < 0) throw new ValueError(`no ${kind} is named '${which}'; the model has ${listed()}`);
    return at;
  }
  if (!Number.isInteger(which) || which < 0 || which >= infos.length) {
    throw new ValueError(`no ${kind} has index ${String(which)}; the model has ${listed()}`);
  }
  return which;
}

const part = ({ values, dtype }, sample, size) => ({
  values: values.subarray(sample * size, (sample + 1) * size), shape: null, dtype,
});

function emptyBatch(info, count, raw) {
  if (!raw) return new Float32Array(count * product(info.shape));
  return asRaw(info, new Uint8Array(count * info.bytes));
}

function maskOf(wasm, isas) {
  const usable = wasm.call.host_isas();
  const known = Array.from({ length: 32 }, (_, i) => i).filter((i) => (usable >>> i) & 1).map((i) => [wasm.text(wasm.call.isa_name(i)), i]);
  const numbers = new Map(known);
  const names = typeof isas === "string" ? [isas] : [...isas];
  const unknown = names.filter((name) => !numbers.has(name));
  if (unknown.length) {
    const accepted = known.map(([name]) => name).join(", ");
    throw new ValueError(`no instruction set of this machine is named ${unknown.join(", ")}; accepted: ${accepted}`);
  }
  return names.reduce((mask, name) => mask | (1 << numbers.get(name)), REF);
}

/** The sentence of python_bindings/support.cpp. */
function blobError(wasm, code, name, bytes) {
  const { call } = wasm;
  const text = (at) => wasm.text(at);
  const index = (value) => (value === call.none() ? null : value);
  const [node, kernelId, tensor] = [call.fault_node(), call.fault_kernel(), call.fault_tensor()].map(index);
  const check = text(call.check_name(call.fault_check()));
  const kernel = kernelId === null ? null : text(call.kernel_name(kernelId));
  const place = [];
  if (call.fault_check() !== 0) place.push(`check ${check}`);
  if (node !== null) place.push(`node ${node}`);
  if (kernelId !== null) place.push(`kernel ${kernel === "unknown" ? `id ${kernelId}` : kernel}`);
  if (tensor !== null) place.push(`index ${tensor}`);
  let detail = text(call.status_str(code));
  if (call.fault_check() !== 0) detail += `: ${text(call.check_str(call.fault_check()))}`;
  if (place.length) detail += ` (${place.join(", ")})`;
  const message = name ? `${name}: ${detail}${whatElse(name, bytes)}` : detail;
  return new BlobError(message, { status: text(call.status_name(code)), code, node, kernel, tensor, check, detail });
}
