// The server, asked: by the token that it printed, which stands in no address, no cookie, and no longer than this tab.
import { parse } from "./values.js";

const KEY = "codeact-token";
const LINK = "#token=";
const WAITS = [500, 1000, 2000, 4000]; // milliseconds until a stream that broke is asked for again

/** What a request was answered that was not served. */
export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

/** Take the token out of the address, if it stands there; whether there is one. */
export function admitted() {
  if (location.hash.startsWith(LINK)) {
    const given = location.hash.slice(LINK.length);
    try {
      admit(decodeURIComponent(given));
    } catch {
      admit(given); // it was written as it is
    }
    history.replaceState(null, "", location.pathname);
  }
  return Boolean(sessionStorage.getItem(KEY));
}

export function admit(token) {
  sessionStorage.setItem(KEY, token);
}

export function dismiss() {
  sessionStorage.removeItem(KEY);
}

async function fetched(path, settings = {}) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ""}`, ...settings.headers };
  const answer = await fetch(path, { ...settings, headers, credentials: "omit", cache: "no-store", redirect: "error" });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, told.error?.message ?? `the server answered ${answer.status}`);
}

/** What the server knows of this path. */
export async function get(path) {
  return parse(await (await fetched(path)).text());
}

/** An entry of a run as JSON, or a file or a picture of it: `[run, seq]`, or `[run, seq, which]`. */
export async function bytes([run, ...places]) {
  return new Uint8Array(await (await fetched(`/api/runs/${run}/entries/${places.join("/")}`)).arrayBuffer());
}

/** Have the server do something; `body` is an object, or JSON as text. */
export async function post(path, body = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return (await fetched(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: text })).json();
}

/** The events of a run, from behind `after`, for as long as it can be heard of: when a stream breaks, another is begun.
 *
 * `hear` has a function for each kind of event, for `begun` and for `broken`, which is given the reason.
 */
export function follow(run, hear) {
  const stop = new AbortController();
  let after = -1;
  const place = (id) => (after = Math.max(after, id));
  const work = async () => {
    for (let failures = 0; !stop.signal.aborted; failures += 1) {
      try {
        const answer = await fetched(`/api/runs/${run}/events?after=${after}`, { signal: stop.signal });
        failures = 0;
        hear.begun();
        if (await frames(answer.body, hear, place)) return;
      } catch (error) {
        if (stop.signal.aborted) return;
        hear.broken(error);
        if (error instanceof Refused && error.status < 500 && error.status !== 429) return;
      }
      await later(WAITS[Math.min(failures, WAITS.length - 1)], stop.signal);
    }
  };
  work();
  return () => stop.abort();
}

function later(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Read a stream of events to its end; whether nothing more will ever come. */
async function frames(body, hear, place) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return false;
    const pieces = (rest + value).split("\n\n");
    rest = pieces.pop();
    for (const piece of pieces) {
      const frame = Object.fromEntries(piece.split("\n").filter((line) => !line.startsWith(":")).map(field));
      if (frame.id !== undefined) place(Number(frame.id));
      const news = frame.data === undefined ? null : parse(frame.data);
      if (frame.event in hear) hear[frame.event](news);
      // what ends in the middle of a task was the server's end, and another one may have the run
      if (frame.event === "end") return ["ended", "cut off"].includes(news.state);
    }
  }
}

function field(line) {
  const at = line.indexOf(":");
  return [line.slice(0, at), line.slice(at + 1).trimStart()];
}
