// node in_node.mjs PACKAGE FOLDER: runs the folder's cases and prints what they gave.
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { runAll } from "./cases.mjs";

const [, , entry, folder] = process.argv;
const read = async (name) => {
  const file = await readFile(`${folder}/${name}`);
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength); // small files share a buffer
};
process.stdout.write(JSON.stringify(await runAll(await import(pathToFileURL(entry)), read)));
