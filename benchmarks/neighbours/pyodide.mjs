// A session of pyodide.py: a line of JSON in, lines of JSON out.
const { loadPyodide } = await import(`file://${Deno.args[0]}pyodide.mjs`);
const python = await loadPyodide({ indexURL: Deno.args[0], stdout: () => {}, stderr: () => {} });
const out = new TextEncoder();

async function say(word) {
  const bytes = out.encode(JSON.stringify(word) + "\n");
  for (let at = 0; at < bytes.length; ) at += await Deno.stdout.write(bytes.subarray(at));
}

async function* linesOf(stream) {
  let rest = [];
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = text.split("\n");
    for (const part of parts.slice(0, -1)) {
      yield [...rest, part].join("");
      rest = [];
    }
    rest.push(parts.at(-1));
  }
}

const lines = linesOf(Deno.stdin.readable);
python.globals.set("_ask", async (text) => {
  await say(["call", text]);
  return JSON.parse((await lines.next()).value);
});
python.runPython("from pyodide.ffi import run_sync\ndef echo(text):\n    return run_sync(_ask(text))");
for (let line = await lines.next(); !line.done; line = await lines.next()) {
  try {
    await python.runPythonAsync(JSON.parse(line.value));
    await say(["done", null]);
  } catch (error) {
    await say(["failed", String(error).slice(-300)]);
  }
}
