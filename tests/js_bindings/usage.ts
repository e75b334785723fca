// What TypeScript must accept, and, where a comment says so, refuse: checked by tsc, never run.
import { BlobError, DType, Interpreter, NodeInfo, packS1, Stored, TensorInfo, unpackS1, useWasm, ValueError } from "dqnn";

async function uses(file: File, bytes: Uint8Array, response: Response): Promise<void> {
  useWasm(fetch("/dqnn.wasm"));
  const it: Interpreter = await Interpreter.open(file, { isas: ["ref"], warn: (message: string) => console.log(message) });
  await Promise.all([Interpreter.open("a.dqnn"), Interpreter.open(bytes), Interpreter.open(response), Interpreter.open(new URL("http://a/"))]);
  const info: TensorInfo = it.inputs[0];
  const dtype: DType = info.dtype;
  it.setInput(0, new Float32Array(4));
  it.setInput(info.name, [[1, 2], [3, 4]]);
  it.setInput(0, packS1([1, -1], 2), { raw: true });
  it.invoke();
  const real: Float32Array = it.getOutput(0);
  const stored: Stored = it.getOutput("y", { raw: true });
  const all = it.predict({ a: real, b: [[1]] });
  const first: NodeInfo = it.nodes[0];
  const seconds: number = it.profile(3)[0].seconds;
  const value: Float32Array = it.trace()[0].value;
  const offsets: number[] = it.tensors.map((tensor) => tensor.offset + tensor.bytes);
  const sum: number = it.memoryBytes + it.arenaBytes + it.highWater() + unpackS1(new Uint32Array(1), 3).length;
  console.log(dtype, stored, all, first.layer, seconds, value, offsets, sum);
  // @ts-expect-error a model is opened, not constructed
  new Interpreter(bytes);
  // @ts-expect-error what it tells cannot be changed
  it.inputs[0].scale = 2;
  // @ts-expect-error strings are no values
  it.setInput(0, "text");
  // @ts-expect-error stored values are no reals
  const wrong: Float32Array = it.getOutput(0, { raw: true });
  console.log(wrong);
}

function refused(error: unknown): number | null {
  if (error instanceof BlobError) return error.node;
  return error instanceof ValueError ? error.message.length : null;
}

export { refused, uses };
