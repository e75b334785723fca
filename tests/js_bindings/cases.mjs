// What Node and the browser run alike for test_bits.py: models of a list, with the bytes of their inputs; gives the bytes of what they
// compute as text, or how they were refused.

const TYPES = { uint8: Uint8Array, int8: Int8Array, uint32: Uint32Array, float32: Float32Array };

/** read(name): a Promise of a file's ArrayBuffer. */
export async function runAll(dqnn, read) {
  const list = JSON.parse(new TextDecoder().decode(await read("list.json")));
  const all = await read("models.bin");
  const results = {};
  for (const one of list) {
    const [blob, ...arrays] = one.places.map(([start, end]) => all.slice(start, end));
    results[one.name] = await run(dqnn, blob, arrays.slice(0, one.inputs), arrays.slice(one.inputs), one.details);
  }
  return results;
}

async function run(dqnn, blob, given, reals, details) {
  const warnings = [];
  let it;
  try {
    it = await dqnn.Interpreter.open(blob, { warn: (message) => warnings.push(message) });
  } catch (error) {
    const { message, status, code, node, kernel, tensor, check, detail } = error;
    return { error: { kind: error.name, message, status, code, node, kernel, tensor, check, detail } };
  }
  const raw = given.map((buffer, i) => new TYPES[it.inputs[i].storedDtype](buffer));
  const found = { outputs: outputs(it, raw, { raw: true }) };
  if (!details) return found;
  found.reals = outputs(it, reals.map((buffer) => new Float32Array(buffer)), {});
  return Object.assign(found, { warnings }, inside(it, raw));
}

function outputs(it, batch, options) {
  const result = it.predict(batch.length === 1 ? batch[0] : batch, options);
  return it.outputs.map((info) => text(it.outputs.length === 1 ? result : result[info.name]));
}

/** Of the first sample. */
function inside(it, raw) {
  it.inputs.forEach((info, i) => it.setInput(i, raw[i].slice(0, info.storedShape.reduce((a, b) => a * b)), { raw: true }));
  const facts = ["name", "producer", "fileBytes", "arenaBytes", "memoryBytes", "modelId", "modelVersion"];
  return {
    ports: [...it.inputs, ...it.outputs].map(String),
    facts: Object.fromEntries(facts.map((key) => [key, it[key]])),
    nodes: it.nodes,
    tensors: it.tensors,
    trace: it.trace({ raw: true }).map(({ value }) => text(value)),
    traced: it.trace().map(({ value }) => text(value)),
    highWater: it.highWater(),
  };
}

function text(values) {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let letters = "";
  for (let i = 0; i < bytes.length; i += 4096) letters += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(letters);
}
