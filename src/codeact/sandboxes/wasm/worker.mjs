// The guest: CPython in WebAssembly, and the functions by which it reaches the process beside it. The waits here block
// this thread, which has nothing else to do. Before the first cell it gives up the right to read files; it never had
// another one.

const CHUNK = 1 << 16;
const MOST = 1 << 18; // bytes that the host has not got; beyond them the guest waits
const PAGE = 1 << 16; // of memory
const [BELL, WRITTEN, READ, BEHIND] = [0, 1, 2, 3];
const [TIME, BYTES, STRUCK] = [0, 1, 2]; // why a wait has ended

export const OPTIONS = {
  env: { HOME: "/scratch", TMPDIR: "/scratch", PWD: "/scratch", PATH: "/", LANG: "C.UTF-8", PYTHONHASHSEED: "0" },
};

export async function load(pyodide, options) {
  const { loadPyodide } = await import(new URL("pyodide.mjs", pyodide).href);
  return await loadPyodide({ indexURL: path(new URL(".", pyodide)), ...OPTIONS, ...options });
}

// A file's URL as a path of this machine: on Windows without the slash before the drive.
function path(url) {
  const found = decodeURIComponent(url.pathname);
  return Deno.build.os === "windows" ? found.slice(1) : found;
}

// Bound how far the memory of Python grows: a request beyond it ends as MemoryError.
function bound(most) {
  const grow = WebAssembly.Memory.prototype.grow;
  WebAssembly.Memory.prototype.grow = function (pages) {
    if (this.buffer.byteLength + pages * PAGE > most) throw new RangeError("the limit of memory");
    return grow.call(this, pages);
  };
}

function door(shared) {
  const signal = new Uint8Array(shared.signal);
  const counts = new Int32Array(shared.counts);
  const ring = new Uint8Array(shared.ring);
  const there = () => (Atomics.load(counts, WRITTEN) - Atomics.load(counts, READ)) >>> 0;

  function say(kind, data) {
    for (let behind; (behind = Atomics.load(counts, BEHIND)) > MOST;) Atomics.wait(counts, BEHIND, behind);
    Atomics.add(counts, BEHIND, data.length);
    self.postMessage([kind, data]);
  }

  function wait(milliseconds, forBytes) {
    const until = performance.now() + milliseconds;
    for (;;) {
      const bell = Atomics.load(counts, BELL);
      if (Atomics.exchange(signal, 0, 0)) return STRUCK;
      if (forBytes && there()) return BYTES;
      const left = until - performance.now();
      if (left <= 0) return TIME;
      Atomics.wait(counts, BELL, bell, left);
    }
  }

  function read(most) {
    const size = Math.min(there(), most);
    const at = (counts[READ] >>> 0) % ring.length;
    const data = new Uint8Array(size);
    const first = ring.subarray(at, Math.min(at + size, ring.length));
    data.set(first);
    data.set(ring.subarray(0, size - first.length), first.length);
    Atomics.add(counts, READ, size);
    const taken = new Uint8Array(4);
    new DataView(taken.buffer).setUint32(0, size);
    say("t", taken);
    return data;
  }

  function write(memoryview) {
    const buffer = memoryview.getBuffer("u8");
    for (let at = 0; at < buffer.data.length; at += CHUNK) say("w", buffer.data.slice(at, at + CHUNK));
    buffer.release();
  }

  const output = (kind) => ({
    write(data) {
      const part = data.slice(0, CHUNK);
      say(kind, part);
      return part.length;
    },
    isatty: false,
  });

  return { signal, stdout: output("o"), stderr: output("e"), forGuest: { there, wait, read, write } };
}

// How Python ended, if it did not come back: by `os._exit`, or in a way that it cannot go on from.
function ending(error) {
  const status = error?.status ?? error?.exitCode;
  return Number.isInteger(status) ? `exit ${status & 255}` : "signal 6";
}

self.onmessage = async ({ data: { shared, memory, places } }) => {
  self.onmessage = null;
  const [pyodide, snapshot] = places;
  const _loadSnapshot = Deno.readFileSync(new URL(snapshot));
  const { signal, stdout, stderr, forGuest } = door(shared);
  const python = await load(pyodide, { _loadSnapshot });
  await Deno.permissions.revoke({ name: "read" });
  bound(_loadSnapshot.length + memory);
  python.setStdin({ stdin: () => null, isatty: false });
  python.setStdout(stdout);
  python.setStderr(stderr);
  python.setInterruptBuffer(signal);
  let how = "exit 0";
  try {
    const serve = python.runPython("import codeact_guest.wasm\ncodeact_guest.wasm.serve");
    self.postMessage(["stands"]);
    serve(forGuest);
  } catch (error) {
    console.error(String(error)); // the process's standard error, which nobody reads but who looks for a fault here
    how = ending(error);
  }
  self.postMessage(["x", how]);
};
