// Strokes become an image of 28 x 28 pixels here; the server sends it to the device and tells what came back.
import { drawingOn, showSeen } from "./drawing.js";
import { toPixels, SIDE } from "./strokes.js";

const $ = (id) => document.getElementById(id);
const drawing = drawingOn($("pad"), update);
let waiting = false; // for an answer: one image is under way at a time
let changed = false; // since it was sent

// ---- the server ----

let asked = 0; // requests without an answer yet: the page is busy

async function ask(path, body) {
  document.documentElement.toggleAttribute("data-busy", ++asked > 0);
  try {
    return await answered(path, body);
  } finally {
    document.documentElement.toggleAttribute("data-busy", --asked > 0);
  }
}

async function answered(path, body) {
  const options = body === undefined ? {} : { method: "POST", body, headers: { "Content-Type": "application/octet-stream" } };
  const response = await fetch(path, options).catch(() => null);
  if (response === null) throw new Error("the pad's server does not answer: was it stopped?");
  const found = await response.json().catch(() => ({ error: `the server says ${response.status}` }));
  if (found.error !== undefined) throw new Error(found.error);
  return found;
}

// Does something and shows what goes wrong with it.
async function attempt(action) {
  try {
    await action();
    $("error").hidden = true;
  } catch (error) {
    $("error").textContent = error.message;
    $("error").hidden = false;
  }
}

$("clear").addEventListener("click", () => {
  drawing.clear();
  changed = false;
  showSeen($("seen"), new Uint8Array(SIDE * SIDE));
  showResult(null);
});

// ---- results ----

function update() {
  changed = true;
  if (!waiting) attempt(classify);
}

async function classify() {
  waiting = true;
  try {
    while (changed && drawing.strokes.length) {
      changed = false;
      const pixels = toPixels(drawing.strokes);
      showSeen($("seen"), pixels);
      const result = await ask("/api/image", pixels);
      if (drawing.strokes.length) showResult(result);
    }
  } finally {
    waiting = false;
  }
}

const made = (tag, name, text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });

function bar(part) {
  const track = made("div", "track");
  const fill = made("div", "fill");
  fill.style.width = `${100 * part}%`;
  track.append(fill);
  return track;
}

function showResult(result) {
  const found = result?.probabilities ?? new Array(10).fill(0);
  const best = result ? found.indexOf(Math.max(...found)) : -1;
  $("digit").textContent = result ? best : "";
  $("bars").replaceChildren(...found.map((value, digit) => {
    const line = made("li", digit === best ? "best" : "");
    line.append(made("span", "", digit), bar(value), made("span", "number", result ? `${(100 * value).toFixed(1)} %` : ""));
    return line;
  }));
  showTimes(result);
}

const milliseconds = (value) => (value < 1 ? `${(1000 * value).toFixed(value < 0.1 ? 1 : 0)} µs` : `${value.toFixed(2)} ms`);

function showTimes(result) {
  const times = result?.layers ?? [];
  const most = Math.max(...times, 1e-9);
  $("total").textContent = result && result.milliseconds !== null ? milliseconds(result.milliseconds) : "";
  $("layers").replaceChildren(...layers.map((name, i) => {
    const row = made("tr", "");
    const middle = made("td", "");
    middle.append(bar(times.length ? times[i] / most : 0));
    row.append(made("td", "", name), middle, made("td", "number", times.length ? milliseconds(times[i]) : ""));
    return row;
  }));
}

// ---- model and device ----

let layers = [];

function showState(state) {
  layers = state.layers;
  const clock = state.clock_hz ? `, ${(state.clock_hz / 1e6).toFixed(0)} MHz` : "";
  $("device").textContent = state.target === "host" ? "on this machine" : `${state.board} (${state.core}${clock}) at ${state.target}`;
  $("model").textContent = state.model;
  const where = { factory: "came with the firmware", "on trial": "uploaded", confirmed: "uploaded and kept" }[state.slot] ?? state.slot;
  $("facts").textContent = `${state.file_bytes.toLocaleString("en")} bytes in flash, ${state.arena_bytes.toLocaleString("en")} bytes of RAM; ${where}`;
  $("trial").hidden = state.slot !== "on trial";
  showTimes(null);
}

async function change(path, body) {
  showState(await ask(path, body));
  changed = drawing.strokes.length > 0;
  if (changed && !waiting) await classify();
}

async function upload(file) {
  const progress = $("progress");
  progress.value = 0;
  progress.hidden = false;
  const timer = setInterval(() => ask("/api/progress").then((p) => { progress.value = p.uploaded; }, () => {}), 150);
  try {
    await change("/api/model", await file.arrayBuffer());
  } finally {
    clearInterval(timer);
    progress.hidden = true;
  }
}

$("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) attempt(() => upload(file));
  event.target.value = "";
});
for (const name of ["confirm", "rollback"]) $(name).addEventListener("click", () => attempt(() => change(`/api/${name}`, "")));

showResult(null);
attempt(async () => showState(await ask("/api/state")));
