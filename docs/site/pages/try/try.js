// A .dqnn file, looked into and run where it was dropped. The page has the structure of `dqnn analyze --html`; what it shows comes from the
// interpreter itself, as WebAssembly.
import { Interpreter } from "./dqnn/dqnn.js";
import { drawingOn, showSeen } from "./drawing.js"; // of examples/digits/pad
import { SIDE, toPixels } from "./strokes.js"; // of examples/digits/pad

const $ = (id) => document.getElementById(id);
const TICKS = 16; // most numbers along the memory map
const STEP = 64; // of the network, in pixels: from box to box
const BOX = 48; // height of a box
const GUTTER = 46; // where the arrows of skipping tensors run, if there are any
const LEGEND = { s1: "1 bit", s8: "8 bits", f32: "float", other: "scratch" };
const number = (value) => value.toLocaleString("en");

let model = null;
let opening = 0; // counts files, so that a slow one does not replace the next

function made(tag, name, ...content) {
  const element = Object.assign(document.createElement(tag), { className: name });
  element.append(...content.map((part) => (typeof part === "number" ? String(part) : part)));
  return element;
}

// ---- files ----

/** Loads what `source` gives and shows it; what is refused leaves the model before. */
async function show(source) {
  const turn = ++opening;
  try {
    const found = await Interpreter.open(source);
    if (turn !== opening) return;
    model = found;
    $("error").hidden = true;
    $("found").hidden = false;
    showModel();
  } catch (error) {
    if (turn !== opening) return;
    $("error").textContent = error.message;
    $("error").hidden = false;
  }
}

$("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) show(file);
  event.target.value = "";
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    const [file] = event.dataTransfer?.files ?? [];
    if (kind === "drop" && file) show(file);
  });
}
for (const button of document.querySelectorAll("[data-model]")) {
  button.addEventListener("click", () => show(new URL(`models/${button.dataset.model}.dqnn`, import.meta.url)));
}

// ---- the model ----

function showModel() {
  const { nodes, tensors } = model;
  $("name").textContent = model.name || "a model without a name";
  $("producer").textContent = `${model.producer} · ${nodes.length} nodes`;
  const shapes = (infos) => [...infos.slice(0, 3).map((info) => info.shape.join("×")), ...(infos.length > 3 ? [`${infos.length - 3} more`] : [])];
  const dtypes = (infos) => [...new Set(infos.map((info) => info.dtype))].join(", ");
  const tiles = [
    ["inputs", shapes(model.inputs).join(", "), dtypes(model.inputs)],
    ["outputs", shapes(model.outputs).join(", "), dtypes(model.outputs)],
    ["file in flash", `${number(model.fileBytes)} B`, "weights, graph, names"],
    ["RAM", `${number(model.memoryBytes)} B`, `arena ${number(model.arenaBytes)} B, interpreter`],
  ];
  $("tiles").replaceChildren(...tiles.map(([label, value, note]) =>
    made("div", "tile", made("span", "soft", label), made("b", "", value), made("span", "soft small", note))));
  showNetwork(nodes, tensors);
  showMemory(nodes, tensors);
  showLayers(nodes, tensors);
  measure();
  $("drawing").hidden = !takesDigits();
  if (takesDigits()) update();
}

const type = ({ dtype, shape }) => `${dtype} (${shape.join(", ")})`;
const short = (layer) => layer.split(",")[0] || "unnamed";

function showLayers(nodes, tensors) {
  const columns = ["id", "layers", "kernel", "input", "output", "scratch"];
  const head = made("tr", "", ...columns.map((name) => made("th", name === "scratch" ? "n" : "", name)));
  const cell = (label, name, text) => {
    const made_ = made("td", name, text);
    made_.dataset.label = label;
    return made_;
  };
  $("layers").replaceChildren(head, ...nodes.map((node, i) => made("tr", "",
    cell("id", "n id", i),
    cell(`node ${i}`, "layers wide", node.layer.split(",").join(", ")),
    cell("kernel", "wide", `${node.kernel} (${node.isa})`),
    cell("input", "wide", node.inputs.map((t) => type(tensors[t])).join(" ")),
    cell("output", "wide", type(tensors[node.output])),
    cell("scratch", "n", number(node.scratchBytes)))));
}

// ---- network ----

/** Indices of the tensors that inputs and outputs are: at the arena's places that the memory map has. */
function ports(nodes) {
  const written = new Set(nodes.map((node) => node.output));
  const read = new Set(nodes.flatMap((node) => node.inputs));
  return { inputs: [...read].filter((t) => !written.has(t)).sort((a, b) => a - b), outputs: [...written].filter((t) => !read.has(t)) };
}

function showNetwork(nodes, tensors) {
  const found = ports(nodes);
  const maker = new Map(found.inputs.map((tensor, row) => [tensor, row]));
  const edges = [];
  nodes.forEach((node, i) => {
    const row = found.inputs.length + i;
    for (const tensor of new Set(node.inputs)) if (maker.has(tensor)) edges.push([maker.get(tensor), row]);
    maker.set(node.output, row);
  });
  found.outputs.forEach((tensor, i) => edges.push([maker.get(tensor), found.inputs.length + nodes.length + i]));
  const port = (kind, tensor, i) => box(`${kind} ${found[`${kind}s`].length > 1 ? i : ""}`, type(tensors[tensor]), `${tensors[tensor].dtype} port`);
  const rows = [
    ...found.inputs.map((tensor, i) => port("input", tensor, i)),
    ...nodes.map((node, i) => box(`${i} ${short(node.layer)}`, `${node.kernel} → ${type(tensors[node.output])}`, tensors[node.inputs[0]]?.dtype ?? "other")),
    ...found.outputs.map((tensor, i) => port("output", tensor, i)),
  ];
  const gutter = edges.some(([start, end]) => end > start + 1) ? GUTTER : 0;
  $("network").style.setProperty("--gutter", `${gutter}px`);
  const arrows = made("div", "");
  arrows.innerHTML = arrowsSvg(edges, gutter, rows.length);
  $("network").replaceChildren(arrows.firstChild, ...rows);
}

function box(title, detail, kind) {
  const found = made("div", `node ${kind}`, made("b", "", title), made("span", "soft", detail));
  found.title = `${title}: ${detail}`;
  return found;
}

/** To the next row a straight arrow, past rows a bow on the left. */
function arrowsSvg(edges, gutter, rows) {
  const body = edges.map(([start, end]) => {
    if (end === start + 1) return `<path d="M${gutter + 28} ${start * STEP + BOX + 1} V${start * STEP + STEP - 2} m-4 -5 l4 5 l4 -5"/>`;
    const [below, to] = [start * STEP + BOX * 0.7, end * STEP + BOX * 0.4];
    const out = gutter - Math.min(gutter - 4, 12 + 5 * (end - start));
    const bow = `M${gutter} ${below} C${out} ${below} ${out} ${below + 14} ${out} ${below + 20} V${to - 20}`;
    return `<path d="${bow} C${out} ${to - 14} ${out} ${to} ${gutter - 1} ${to} m-5 -4 l5 4 l-5 4"/>`;
  });
  const height = (rows - 1) * STEP + BOX;
  return `<svg width="${gutter + 40}" height="${height}" viewBox="0 0 ${gutter + 40} ${height}" class="arrows" aria-hidden="true">${body.join("")}</svg>`;
}

// ---- memory ----

/** Bytes of the arena in use: tensors from the node that writes them to the last that reads them, and scratch. */
function areas(nodes, tensors) {
  const lives = new Map();
  const { inputs, outputs } = ports(nodes);
  for (const tensor of inputs) lives.set(tensor, [0, 0]);
  nodes.forEach((node, i) => {
    for (const tensor of node.inputs) lives.get(tensor)[1] = i;
    if (!lives.has(node.output)) lives.set(node.output, [i, i]);
  });
  for (const tensor of outputs) lives.get(tensor)[1] = nodes.length - 1;
  const found = [...lives].map(([t, [first, last]]) => {
    const { bytes, offset, dtype } = tensors[t];
    return { first, last, offset, size: bytes, kind: dtype, title: `tensor ${t}: ${type(tensors[t])}, ${number(bytes)} B at ${number(offset)}, nodes ${first} to ${last}` };
  });
  nodes.forEach(({ scratchBytes: size, scratchOffset: offset }, i) => {
    if (size) found.push({ first: i, last: i, offset, size, kind: "other", title: `scratch of node ${i}: ${number(size)} B at ${number(offset)}` });
  });
  return found;
}

/** Bytes; a tensor that takes over the place of another counts once. */
function inUse(some) {
  let [total, reached] = [0, 0];
  for (const { offset, size } of [...some].sort((a, b) => a.offset - b.offset)) {
    total += Math.max(0, offset + size - Math.max(offset, reached));
    reached = Math.max(reached, offset + size);
  }
  return total;
}

function showMemory(nodes, tensors) {
  const all = areas(nodes, tensors);
  const arena = Math.max(model.arenaBytes, 1);
  const live = nodes.map((_, i) => inUse(all.filter(({ first, last }) => first <= i && i <= last)));
  const peak = live.indexOf(Math.max(...live));
  const rect = (x, y, width, height, kind, title = "") =>
    `<rect x="${x}" y="${y}" width="${width}" height="${height}" class="${kind}"><title>${title}</title></rect>`;
  const body = all.map((a) => rect(a.first, a.offset, a.last - a.first + 1, Math.max(a.size, arena / 130), a.kind, a.title));
  $("memory").innerHTML =
    `<svg viewBox="0 0 ${nodes.length} ${arena}" preserveAspectRatio="none" class="memory" role="img" aria-label="arena over time">` +
    `${body.join("")}${rect(peak, 0, 1, arena, "peak")}</svg>`;
  $("addresses").replaceChildren(...[0, Math.floor(arena / 2), arena].map((address) => made("span", "", number(address))));
  const step = Math.max(1, Math.ceil(nodes.length / TICKS));
  $("ticks").replaceChildren(...nodes.flatMap((_, i) => {
    const tick = made("span", "", i);
    tick.style.left = `${(100 * (i + 0.5)) / nodes.length}%`;
    return i % step ? [] : [tick];
  }));
  const kinds = new Set(all.map(({ kind }) => kind));
  $("legend").replaceChildren(...Object.entries(LEGEND).flatMap(([kind, name]) => (kinds.has(kind) ? [made("span", "", made("i", kind), name)] : [])));
  $("peak").textContent = `Address in the arena downwards, nodes to the right. The dashed frame is the node with the most bytes in use: ${number(live[peak])} B at node ${peak}.`;
}

// ---- time ----

const microseconds = (seconds) => (seconds < 1e-3 ? `${(1e6 * seconds).toFixed(1)} µs` : `${(1e3 * seconds).toFixed(2)} ms`);

/** Many runs in a row, as a browser's clock has coarse steps. */
function measure() {
  const start = performance.now();
  model.invoke();
  const once = Math.max(performance.now() - start, 0.05);
  const times = model.profile(Math.min(300, Math.max(3, Math.round(200 / once))));
  const most = Math.max(...times.map(({ seconds }) => seconds), 1e-9);
  $("total").textContent = `${microseconds(times.reduce((sum, { seconds }) => sum + seconds, 0))} in all`;
  $("times").replaceChildren(...times.flatMap(({ node, seconds }, i) => bar(`${i} ${short(node.layer)}`, seconds / most, microseconds(seconds), model.tensors[node.inputs[0]]?.dtype ?? "other")));
}
$("again").addEventListener("click", measure);

function bar(label, share, text, kind) {
  const name = made("span", "label", label);
  name.title = label;
  const fill = made("i", kind);
  fill.style.width = `${100 * share}%`;
  return [name, made("span", "bar", fill), made("span", "value soft", text)];
}

// ---- drawing ----

const count = (shape) => shape.reduce((a, b) => a * b, 1);

function takesDigits() {
  const [input, output] = [model.inputs[0], model.outputs[0]];
  return model.inputs.length === 1 && count(input.shape) === SIDE * SIDE && input.shape.includes(SIDE) && count(output.shape) === 10;
}

const drawing = drawingOn($("pad"), update);
$("clear").addEventListener("click", () => {
  drawing.clear();
  update();
});

function update() {
  const pixels = drawing.strokes.length ? toPixels(drawing.strokes) : new Uint8Array(SIDE * SIDE);
  showSeen($("seen"), pixels);
  showAnswer(drawing.strokes.length ? answer(pixels) : null);
}

/** Probabilities; pixels become what the models were trained on, or go in as they are where an input takes samples. */
function answer(pixels) {
  const value = model.inputs[0].byteMeaning === null ? Float32Array.from(pixels, (u) => u / 128 - 1) : pixels;
  const scores = model.predict(value);
  const sum = scores.reduce((a, b) => a + b, 0);
  if (Math.abs(sum - 1) < 1e-3 && Math.min(...scores) >= 0) return [...scores];
  const powers = Array.from(scores, (score) => Math.exp(score - Math.max(...scores)));
  return powers.map((power) => power / powers.reduce((a, b) => a + b, 0));
}

function showAnswer(found) {
  const best = found ? found.indexOf(Math.max(...found)) : -1;
  $("digit").textContent = found ? best : "";
  $("answers").replaceChildren(...Array.from({ length: 10 }, (_, digit) =>
    bar(String(digit), found?.[digit] ?? 0, found ? `${(100 * found[digit]).toFixed(1)} %` : "", digit === best ? "s1" : "other")).flat());
}

show(new URL("models/digits_larq.dqnn", import.meta.url));
