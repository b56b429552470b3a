// Start Python once, load the guest into it, and write its memory to standard output: each guest then starts from that.

import { load } from "./worker.mjs";

const [pyodide, guest] = Deno.args;
const python = await load(pyodide, { _makeSnapshot: true });
const folder = "/lib/codeact_guest";
python.FS.mkdir(folder);
for (const { name } of Deno.readDirSync(new URL(guest))) {
  if (name.endsWith(".py")) python.FS.writeFile(`${folder}/${name}`, Deno.readFileSync(new URL(name, guest)));
}
python.runPython(`
import sys
sys.path.insert(0, "/lib")
import codeact_guest.wasm
sys.path.remove("/lib")
codeact_guest.wasm.prepare()
`);
const memory = python.makeMemorySnapshot();
for (let at = 0; at < memory.length;) at += Deno.stdout.writeSync(memory.subarray(at));
Deno.exit(0);
