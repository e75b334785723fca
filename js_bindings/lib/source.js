// Where bytes come from. `platform.read` is set by the package's entry: `fetch` for browsers, files for Node.
import { ValueError } from "./errors.js";

export const platform = { read: null };

const KINDS = [
  [0, "\x89HDF", "an HDF5 file, of Keras perhaps"],
  [0, "PK\x03\x04", "a zip archive, a .keras file perhaps"],
  [4, "TFL3", "a .tflite file"],
];

/** What a file of a training framework is, and how it becomes a model of ours. */
export function whatElse(name, bytes) {
  const found = KINDS.find(([at, magic]) => [...magic].every((letter, i) => bytes[at + i] === letter.charCodeAt(0)));
  if (found === undefined) return "";
  const stem = name.replace(/(?<=[^/\\])\.[^./\\]*$/, "");
  return `; it is ${found[2]}: dqnn-export ${name} -o ${stem}.dqnn`;
}

export function bytesOf(source) {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (typeof SharedArrayBuffer !== "undefined" && source instanceof SharedArrayBuffer) return new Uint8Array(source);
  return ArrayBuffer.isView(source) ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength) : null;
}

/** The bytes of a model, and the name that messages give it: "" for bytes that have none. */
export async function modelBytes(source) {
  const bytes = bytesOf(source);
  if (bytes !== null) return { name: "", bytes };
  if (typeof source === "string" || source instanceof URL) {
    const name = source instanceof URL && source.protocol === "file:" ? decodeURIComponent(source.pathname) : String(source);
    return { name, bytes: bytesOf(await platform.read(source)) };
  }
  if (typeof source?.arrayBuffer === "function") {
    if (source.ok === false) throw new Error(`${source.url}: the server answers ${source.status} ${source.statusText}`.trim());
    return { name: source.name ?? source.url ?? "", bytes: new Uint8Array(await source.arrayBuffer()) };
  }
  const kind = source === null ? "null" : (source?.constructor?.name ?? typeof source);
  throw new ValueError(`Interpreter takes the path of a .dqnn file or its bytes, got ${kind}`);
}
