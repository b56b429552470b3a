// The list of runs: the last hundred and, when asked, those before; found by their words; looked at again every while.
import { patch } from "./patch.js";
import { get } from "./server.js";
import { STOPS } from "./draw.js";
import { count, el, moment, plainly, seen } from "./text.js";

const AT_ONCE = 100;
const EVERY = 4000; // milliseconds

/** What is said of the state of a run. */
export function standing(run) {
  if (run.state !== "ended") return { waiting: "waits for you", running: "at work", "cut off": run.stop_reason ? STOPS[run.stop_reason].toLowerCase() : "cut off" }[run.state] ?? run.state;
  return (STOPS[run.stop_reason] ?? run.stop_reason ?? "").toLowerCase();
}

export class RunList {
  constructor() {
    this.runs = new Map();
    this.marked = null;
    this.search = el("input", { type: "search", placeholder: "Find", "aria-label": "find a run", input: () => this.draw() });
    this.rows = el("ul", { class: "runs" });
    this.more = el("button", { type: "button", class: "quiet more", click: () => this.load(this.oldest) }, "Older runs");
    this.element = el("nav", { "aria-label": "runs" }, this.search, this.rows, this.more);
  }

  start(page) {
    this.page = page;
    this.stop();
    const turn = async () => {
      if (!document.hidden) await this.load();
      this.timer = setTimeout(turn, EVERY);
    };
    turn();
  }

  stop() {
    clearTimeout(this.timer);
  }

  find() {
    document.body.classList.add("listing");
    this.search.focus();
    this.search.select();
  }

  get oldest() {
    return Math.min(...[...this.runs.values()].map((run) => run.started));
  }

  /** Look again at the newest, or at those that began before a moment. */
  async load(before) {
    try {
      const found = await get(`/api/runs?limit=${AT_ONCE}${before ? `&before=${before}` : ""}`);
      for (const run of found) this.runs.set(run.run, run);
      if (before || this.runs.size <= AT_ONCE) this.whole = found.length < AT_ONCE;
      this.draw();
    } catch (error) {
      if (error.status === 401) this.page.refused(error);
    }
  }

  mark(run) {
    this.marked = run;
    this.draw();
  }

  /** The runs in which these words stand, newest first. */
  found(words) {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (run) => `${run.task} ${run.model} ${run.run} ${run.agent ?? ""} ${standing(run)}`.toLowerCase();
    return [...this.runs.values()].filter((run) => wanted.every((word) => text(run).includes(word))).sort((a, b) => b.started - a.started);
  }

  draw() {
    const found = this.found(this.search.value);
    patch(this.rows, found.length ? found.map((run) => [run.run, `${run.changed}${run.state}${run.run === this.marked}`, () => this.row(run)]) : [["none", this.runs.size, () => el("li", { class: "quiet none" }, this.runs.size ? "No run has these words." : "No runs yet.")]]);
    this.more.hidden = this.whole !== false;
  }

  row(run) {
    const facts = [standing(run), run.steps ? count(run.steps, "step") : "", moment(run.started)].filter(Boolean).join(" · ");
    const link = el("a", { href: `#/run/${run.run}`, title: plainly(run.model, 80), "aria-current": run.run === this.marked ? "page" : null }, ...described(run, facts));
    return el("li", {}, link);
  }
}

/** A run in two lines. */
export function described(run, facts) {
  const kind = ["running", "waiting"].includes(run.state) ? run.state : (run.stop_reason ?? "cut-off");
  return [el("span", { class: "what" }, ...seen(plainly(run.task || "no task", 200))), el("span", { class: "facts" }, el("i", { class: `dot ${kind}` }), facts)];
}
