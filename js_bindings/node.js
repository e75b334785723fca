// The package as Node takes it: a string is a path, as in Python; an URL may be one of a file or of the web.
import { readFile } from "node:fs/promises";
import { platform } from "./lib/source.js";

platform.read = async (address) => {
  if (!(address instanceof URL) || address.protocol === "file:") return readFile(address);
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: the server answers ${response.status} ${response.statusText}`.trim());
  return response.arrayBuffer();
};

export { BlobError, ValueError } from "./lib/errors.js";
export { Interpreter } from "./lib/interpreter.js";
export { useWasm } from "./lib/module.js";
export { packS1, TensorInfo, unpackS1 } from "./lib/tensors.js";
