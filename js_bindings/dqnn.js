// The package as browsers, workers and bundlers take it: files come from `fetch`.
import { platform } from "./lib/source.js";

platform.read = async (address) => {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: the server answers ${response.status} ${response.statusText}`.trim());
  return response.arrayBuffer();
};

export { BlobError, ValueError } from "./lib/errors.js";
export { Interpreter } from "./lib/interpreter.js";
export { useWasm } from "./lib/module.js";
export { packS1, TensorInfo, unpackS1 } from "./lib/tensors.js";
