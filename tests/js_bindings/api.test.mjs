// What the package does beyond the sentences and bytes that are compared with Python: run by `node --test`, with the package's entry and
// the repository in the environment.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { pathToFileURL } from "node:url";

const { DQNN_PACKAGE, DQNN_REPOSITORY } = process.env;
const { BlobError, Interpreter, packS1, unpackS1, useWasm, ValueError } = await import(pathToFileURL(`${DQNN_PACKAGE}/node.js`));
const golden = `${DQNN_REPOSITORY}/schema/golden/0.1.0`;
const path = `${golden}/digits_larq.dqnn`;
const bytes = await readFile(path);
const image = Float32Array.from({ length: 784 }, (_, i) => Math.sin(i));

test("a model comes from wherever there are bytes", async () => {
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  const sources = [path, pathToFileURL(path), bytes, shifted.subarray(3), shifted.slice(3).buffer, new Blob([bytes]), new Response(bytes)];
  const found = await Promise.all(sources.map(async (source) => (await Interpreter.open(source)).predict(image)));
  for (const scores of found) assert.deepEqual(scores, found[0]);
  assert.equal(found[0].length, 10);
});

test("what is no source is refused", async () => {
  for (const source of [null, undefined, 3, {}, ["a"]]) {
    await assert.rejects(Interpreter.open(source), (error) => error instanceof ValueError && /takes the path of a .dqnn file or its bytes/.test(error.message));
  }
  await assert.rejects(Interpreter.open("nowhere.dqnn"), { code: "ENOENT" });
  assert.throws(() => new Interpreter(bytes, {}), /await Interpreter.open/);
});

test("a server's refusal is told", async () => {
  await assert.rejects(Interpreter.open(new Response("", { status: 404, statusText: "Not Found" })), /the server answers 404 Not Found/);
});

test("files of training frameworks are known by name", async () => {
  const h5 = `${DQNN_REPOSITORY}/examples/digits/digits_larq.h5`;
  await assert.rejects(Interpreter.open(h5), (error) => {
    assert.ok(error instanceof BlobError && error instanceof ValueError && error instanceof Error);
    assert.equal(error.message, `${h5}: not a .dqnn file; it is an HDF5 file, of Keras perhaps: dqnn-export ${h5} -o ${h5.slice(0, -3)}.dqnn`);
    assert.equal(error.detail, "not a .dqnn file");
    assert.deepEqual([error.status, error.node, error.kernel], ["magic", null, null]);
    return true;
  });
});

test("interpreters are apart", async () => {
  const [one, two] = await Promise.all([Interpreter.open(path), Interpreter.open(path)]);
  one.setInput(0, image);
  one.invoke();
  const before = one.getOutput();
  two.setInput(0, image.map((value) => -value));
  two.invoke();
  assert.notDeepEqual(two.getOutput(), before);
  assert.deepEqual(one.getOutput(), before);
});

test("inputs keep their values, results are copies, looking inside changes neither", async () => {
  const it = await Interpreter.open(path);
  it.setInput(0, image);
  it.invoke();
  const first = it.getOutput();
  const kept = first.slice();
  const batch = new Float32Array(2 * 784);
  assert.equal(it.predict(batch).length, 20);
  assert.equal(it.trace().length, it.nodes.length);
  assert.ok(it.profile(2).every(({ seconds }) => seconds >= 0));
  assert.ok(it.highWater() <= it.arenaBytes);
  assert.deepEqual(it.getOutput(0), kept);
  it.invoke();
  assert.deepEqual(it.getOutput("activation"), kept);
  first.fill(9);
  assert.deepEqual(it.getOutput(), kept);
  assert.deepEqual(it.trace().at(-1).value, kept);
});

test("no result depends on the kernels", async () => {
  const some = await Promise.all([{}, { isas: "ref" }, { isas: ["portable", "winograd"] }].map((options) => Interpreter.open(path, options)));
  const [first, ...others] = some.map((it) => it.predict(image));
  for (const scores of others) assert.deepEqual(scores, first);
  assert.deepEqual(new Set(some[1].nodes.map((node) => node.isa)), new Set(["ref"]));
  await assert.rejects(Interpreter.open(path, { isas: ["avx2"] }), /no instruction set of this machine is named avx2; accepted: ref, portable, winograd/);
});

test("an empty batch gives empty results", async () => {
  const it = await Interpreter.open(path);
  assert.equal(it.predict(new Float32Array(0)).length, 0);
});

test("nested lists, typed rows and flat arrays are one", async () => {
  const it = await Interpreter.open(path);
  const rows = Array.from({ length: 28 }, (_, y) => Array.from({ length: 28 }, (_, x) => [image[28 * y + x]]));
  const flat = it.predict(image);
  assert.deepEqual(it.predict([rows]), flat);
  const typed = Array.from({ length: 28 }, (_, y) => Array.from({ length: 28 }, (_, x) => image.subarray(28 * y + x, 28 * y + x + 1)));
  assert.deepEqual(it.predict([typed]), flat);
  it.setInput(0, [rows]);
  it.invoke();
  assert.deepEqual(it.getOutput(), flat);
  for (const wrong of ["text", 5, null, 10n, [["a"]], [[null]], new BigInt64Array(784)]) assert.throws(() => it.setInput(0, wrong), ValueError);
});

test("bits are packed as the file has them", () => {
  const reals = Float32Array.from({ length: 70 }, (_, i) => (i % 3 ? 1 : -1));
  const packed = packS1(reals, 35);
  assert.equal(packed.length, 4);
  assert.deepEqual(unpackS1(packed, 35), reals);
  assert.deepEqual([...packS1([0, -0, -1e-40, -1, NaN], 5)], [8]);
  assert.throws(() => packS1(reals, 33), /whole rows of 33, got 70/);
  assert.throws(() => unpackS1(reals, 35), /takes uint32, 2 for 35 elements, got float32 of 70/);
  assert.throws(() => packS1(reals, 0), /1 or more elements/);
});

test("warnings come once for each input", async () => {
  const said = [];
  const it = await Interpreter.open(`${golden}/digits_qkeras.dqnn`, { warn: (text) => said.push(text) });
  const x = new Float32Array(784).fill(100);
  it.setInput(0, x);
  it.predict(x);
  assert.equal(said.length, 1);
  assert.match(said[0], /100 % of them saturate/);
});

test("dqnn.wasm comes from where it is said to lie, and a failure can be mended", async () => {
  useWasm(new Uint8Array(8));
  await assert.rejects(Interpreter.open(path), WebAssembly.CompileError);
  assert.equal((await Interpreter.open(path)).name, "digits_larq"); // its own again
  for (const source of [readFile(`${DQNN_PACKAGE}/dqnn.wasm`), pathToFileURL(`${DQNN_PACKAGE}/dqnn.wasm`), new WebAssembly.Module(await readFile(`${DQNN_PACKAGE}/dqnn.wasm`))]) {
    useWasm(source);
    assert.equal((await Interpreter.open(path)).name, "digits_larq");
  }
});
