// The process beside a guest in WebAssembly: what guest/relay.py is to a guest that is a process. The frames are the
// same. The guest runs in a worker, so that a loop of it does not keep this thread from hearing the host: an interrupt
// is a byte in shared memory, and the end of standard input ends all. What the worker says is as hostile as the guest.

import process from "node:process";

const MARK = new TextEncoder().encode("\0codeact\0\n");
const WINDOW = 1 << 20; // as in relay.py
const CHUNK = 1 << 16;
const FROM_HOST = { s: 8 << 20, w: CHUNK, i: 0 };
const OFTEN = 10; // milliseconds between two looks at what the guest uses
const SIGINT = 2;
const OWN = 64 << 20; // of the engine's own, as in sandbox.py: Python meets its bound first, and its code can see that

const shared = {
  signal: new SharedArrayBuffer(4), // SIGINT, until the guest has seen it
  counts: new SharedArrayBuffer(16), // what rings when something has come; bytes written, read, and not passed on
  ring: new SharedArrayBuffer(WINDOW), // bytes of the wire for the guest
};
const signal = new Uint8Array(shared.signal);
const counts = new Int32Array(shared.counts);
const [BELL, WRITTEN, READ, BEHIND] = [0, 1, 2, 3];
const ring = new Uint8Array(shared.ring);

const queue = []; // frames that the host has not got yet
let writing = false;
let started = 0; // resident bytes when the guest stood
let said = ""; // of the last usage
let usage = null;

function frame(kind, data) {
  const bytes = new Uint8Array(5 + data.length);
  bytes[0] = kind.charCodeAt(0);
  new DataView(bytes.buffer).setUint32(1, data.length);
  bytes.set(data, 5);
  return bytes;
}

async function write(bytes) {
  for (let at = 0; at < bytes.length;) {
    at += await Deno.stdout.write(bytes.subarray(at));
  }
}

async function pass() {
  if (writing) return;
  writing = true;
  try {
    while (queue.length || usage) {
      if (usage) {
        const now = usage;
        usage = null;
        await write(now);
      }
      const next = queue.shift();
      if (!next) continue;
      await write(next.bytes);
      if (next.last) Deno.exit(0);
      Atomics.sub(counts, BEHIND, next.size);
      Atomics.notify(counts, BEHIND);
    }
  } catch {
    Deno.exit(0); // the host is gone
  }
  writing = false;
}

function say(kind, data) {
  for (let at = 0; at === 0 || at < data.length; at += CHUNK) {
    const part = data.subarray(at, at + CHUNK);
    queue.push({ bytes: frame(kind, part), size: part.length });
  }
  pass();
}

function end(how) {
  queue.push({ bytes: frame("x", new TextEncoder().encode(how)), size: 0, last: true });
  pass();
}

function look() {
  const { user, system } = process.cpuUsage();
  const memory = Math.max(0, Deno.memoryUsage().rss - started - OWN);
  const words = `${memory} ${user + system}`;
  if (words === said) return;
  said = words;
  const data = new Uint8Array(24);
  const view = new DataView(data.buffer);
  view.setBigUint64(0, BigInt(memory));
  view.setFloat64(8, (user + system) / 1e6);
  view.setBigUint64(16, 1n);
  usage = frame("u", data);
  pass();
}

function hear(event) {
  const [kind, data] = Array.isArray(event.data) ? event.data : [];
  if (["w", "o", "e", "t"].includes(kind) && data instanceof Uint8Array) say(kind, data);
  else if (kind === "stands" && !started) {
    started = Deno.memoryUsage().rss;
    setInterval(look, OFTEN);
  } else if (kind === "x" && /^(exit|signal) \d{1,3}$/.test(data)) end(data);
}

function start(settings) {
  const worker = new Worker(new URL("./worker.mjs", import.meta.url), { type: "module" });
  worker.onmessage = hear;
  worker.onerror = (event) => {
    event.preventDefault();
    console.error(event.message);
    end("signal 6");
  };
  worker.postMessage({ shared, memory: settings.memory, places: Deno.args });
}

function hand(data) {
  const written = counts[WRITTEN] >>> 0;
  const free = WINDOW - ((written - Atomics.load(counts, READ)) >>> 0);
  if (data.length > free) Deno.exit(1); // more than there may be under way
  const at = written % WINDOW;
  const first = data.subarray(0, WINDOW - at);
  ring.set(first, at);
  ring.set(data.subarray(first.length), 0);
  Atomics.store(counts, WRITTEN, (written + data.length) | 0);
  wake();
}

function wake() {
  Atomics.add(counts, BELL, 1);
  Atomics.notify(counts, BELL);
}

function take(kind, data) {
  if (kind === "s") start(JSON.parse(new TextDecoder().decode(data)));
  else if (kind === "w") hand(data);
  else {
    Atomics.store(signal, 0, SIGINT);
    wake();
  }
}

async function listen() {
  let kept = new Uint8Array(0);
  const piece = new Uint8Array(CHUNK);
  for (;;) {
    const size = await Deno.stdin.read(piece);
    if (!size) return;
    const bytes = new Uint8Array(kept.length + size);
    bytes.set(kept);
    bytes.set(piece.subarray(0, size), kept.length);
    let at = 0;
    while (bytes.length - at >= 5) {
      const kind = String.fromCharCode(bytes[at]);
      const length = new DataView(bytes.buffer).getUint32(at + 1);
      if (!(length <= FROM_HOST[kind])) return;
      if (bytes.length - at - 5 < length) break;
      take(kind, bytes.subarray(at + 5, at + 5 + length));
      at += 5 + length;
    }
    kept = bytes.slice(at);
  }
}

await write(MARK);
try {
  await listen();
} finally {
  Deno.exit(0);
}
