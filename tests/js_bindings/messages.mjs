// node messages.mjs PACKAGE FOLDER: runs the snippets of the folder's calls.json, each on a fresh interpreter `it`, and prints what each
// said: the error's sentence, or what was warned of.
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [, , entry, folder] = process.argv;
const dqnn = await import(pathToFileURL(entry));
const Snippet = Object.getPrototypeOf(async () => {}).constructor;

async function said({ model, code }) {
  const warnings = [];
  const it = await dqnn.Interpreter.open(await readFile(`${folder}/${model}.dqnn`), { warn: (message) => warnings.push(message) });
  try {
    await new Snippet("it", "dqnn", code)(it, dqnn);
  } catch (error) {
    return [`${error.name}: ${error.message}`];
  }
  return warnings;
}

const calls = JSON.parse(await readFile(`${folder}/calls.json`, "utf8"));
const found = [];
for (const call of calls) found.push(await said(call));
process.stdout.write(JSON.stringify(found));
