// A run as a page shows it: what it is, a timeline of its steps, its tasks, and how each ended.
import { ending, item, STOPS, sums } from "./draw.js";
import { patch } from "./patch.js";
import { timeline } from "./timeline.js";
import { binary, count, duration, el, fold, moment, number, plainly, seen } from "./text.js";

const TITLE = 160; // characters of a task that stand as its title

/** One run, drawn into an element, and drawn again where `update` finds something new. */
export class View {
  constructor(story, run, desk = {}, prefix = "") {
    Object.assign(this, { story, run, prefix });
    this.desk = { ...desk, inside: (one) => this.inside(one) };
    this.within = []; // views of runs below that are open
    this.element = el("div", { class: prefix ? "run below" : "run" });
  }

  inside(run) {
    const known = this.within.find((view) => view.run === run);
    if (known) return known.element;
    const view = new View(this.story, run, { ...this.desk, fork: null }, `${run.id.slice(0, 8)}-`);
    this.within.push(view);
    view.update();
    return view.element;
  }

  /** Bring all of it up to date; what did not change is not touched. */
  update() {
    const { run } = this;
    const states = `${run.tasks.length}.${run.state}.${run.task?.steps}.${run.task?.usage.requests}.${run.level}`;
    patch(this.element, [
      ["title", this.prefix ? 0 : run.tasks.length > 0, () => !this.prefix && title(run.tasks[0], 0, false)],
      ["head", this.prefix ? 0 : states, () => !this.prefix && head(run)],
      ["line", this.prefix ? 0 : `${states}.${run.task?.items.length}`, () => !this.prefix && timeline(run, (step) => this.go(step))],
      ...run.tasks.map((task, i) => [`task${i}`, NaN, (old) => this.task(old, task, i)]),
    ]);
    for (const view of this.within) view.update();
  }

  task(old, task, place) {
    const made = old ?? el("section", { class: "task", "aria-label": place ? `task ${place + 1}` : "task" });
    const items = task.items.map((one, i) => {
      const version = one === task.items.at(-1) || !one.done ? NaN : Object.values(one.changes).reduce((a, b) => a + b, 0);
      return [`i${i}`, one.asked ? version : 0, () => item(one, this.run, this.story, this.desk, `${this.prefix}t${place}-${i}`)];
    });
    patch(made, [
      ["title", 0, () => (place || this.prefix) && title(task, place, Boolean(this.prefix))],
      ...items,
      ["end", task.ended ? task.endedAt + task.files.length : 0, () => ending(task, this.desk)],
    ]);
    return made;
  }

  /** The elements that one goes through by keys, in order. */
  get stops() {
    return [...this.element.querySelectorAll(":scope > .title, :scope > .task > .title, :scope > .task > .item, :scope > .task > .ending")];
  }

  go(step) {
    step.element?.scrollIntoView({ block: "start" });
    step.element?.focus({ preventScroll: true });
  }
}

function title(task, place, below) {
  const { task: text = "", variables = [], files = [] } = task?.given ?? {};
  const whole = text.trim();
  const short = whole.length <= TITLE && !whole.includes("\n");
  const name = place || below ? "h2" : "h1";
  const shown = short ? whole : plainly(whole, TITLE);
  const made = el("div", { class: "title", tabindex: "-1" }, el(name, {}, ...seen(shown || "No task yet")));
  if (!short) made.append(fold("The whole task", () => el("p", { class: "whole" }, ...seen(whole))));
  const given = [...variables.map(([one, words]) => [one, words]), ...files.map(([one, words]) => [`inputs/${one}`, words])];
  if (given.length) made.append(el("dl", { class: "given" }, given.flatMap(([one, words]) => [el("dt", {}, plainly(one)), el("dd", {}, ...seen(plainly(words, 300)))])));
  return made;
}

/** What a run does whose task has not ended. */
export const STATES = { asking: "asks the model", running: "runs code", approval: "waits for your answer", cut: "had not ended" };

/** What the run is made of, and how it stands. */
function head(run) {
  const { made } = run;
  const words = STATES[run.state];
  const over = run.task?.ended ? STOPS[run.task.ended.stop_reason].toLowerCase() : "not begun";
  const figures = run.task ? sums(all(run), words && run.state !== "cut" ? null : run.last) : [];
  return el(
    "header",
    { class: "head" },
    el("p", { class: "facts" }, el("span", { class: `state ${run.task?.ended ? run.task.ended.stop_reason : run.state}` }, words ?? over), figures.map((one) => el("span", {}, one)), el("span", {}, moment(run.at))),
    el("p", { class: "facts quiet" }, el("span", {}, plainly(made.model ?? "", 80)), el("span", {}, `sandbox ${plainly(made.sandbox ?? "", 40)}${run.level ? `, level ${plainly(run.level, 40)}` : ""}`), run.python ? el("span", {}, `Python ${plainly(run.python, 20)}`) : null),
    fold("What it is made of", () => parts(run), { class: "made" }),
  );
}

/** All tasks of a run as one. */
function all(run) {
  const sum = { ...run.task, usage: { ...run.task.usage }, at: run.tasks[0].at };
  for (const task of run.tasks.slice(0, -1)) {
    sum.steps += task.steps;
    sum.calls += task.calls;
    sum.cost = sum.cost === null || task.cost === null ? null : sum.cost + task.cost;
    for (const [name, value] of Object.entries(task.usage)) sum.usage[name] = sum.usage[name] === null || value === null ? null : sum.usage[name] + value;
  }
  return sum;
}

const LIMITS = [
  ["seconds", 30, "a cell", duration],
  ["memory", 2 ** 30, "memory", binary],
  ["steps", 20, "steps", number],
  ["tool_seconds", 300, "a tool", duration],
  ["threads", 64, "threads", number],
  ["scratch", 2 ** 28, "files", binary],
  ["output", 2 ** 20, "output", binary],
  ["calls", 10000, "calls", number],
];

function parts(run) {
  const { made } = run;
  const { limits = {}, imports = {}, tools = [] } = made;
  const given = { steps: run.task?.given.steps }; // a task may have others than its agent
  const allowed = imports.everything ? "everything" : [imports.base === false ? "nothing" : "the base set", ...(imports.names ?? [])].join(", ");
  const bounds = LIMITS.map(([name, usual, words, said]) => `${words} ${said(given[name] ?? limits[name] ?? usual)}`);
  const budget = Object.entries(made.budget ?? {}).map(([name, value]) => `${name.replace("_", " ")} ${number(value)}`);
  const rows = [
    ["run", run.id],
    ["acts by", made.action === "json" ? "tool calls" : made.action === "text" ? "text" : "code"],
    ["imports", allowed],
    ["limits", bounds.join(", ")],
    ["budget", budget.join(", ")],
    ["hosts", (made.network ?? []).join(", ") || "none can be reached"],
    ["folders", (made.mounts ?? []).map((one) => `${one.path}${one.writable ? " (to change)" : ""}`).join(", ")],
    ["version", made.version ?? ""],
  ].filter(([, words]) => words);
  const list = el("dl", { class: "given" }, rows.flatMap(([name, words]) => [el("dt", {}, name), el("dd", {}, ...seen(words))]));
  const shown = [list];
  if (tools.length) shown.push(el("h4", {}, count(tools.length, "tool")), el("ul", { class: "tools" }, tools.slice(0, 200).map(tool)));
  if (made.instructions) shown.push(el("h4", {}, "Instructions"), el("p", { class: "whole" }, ...seen(made.instructions)));
  return shown;
}

function tool({ name, signature = "", doc = "", group = "" }) {
  return el("li", {}, el("code", {}, el("b", {}, plainly(group ? `${group}.${name}` : name, 80)), ...seen(signature.slice(0, 400))), el("span", { class: "quiet" }, ` ${plainly(doc.split("\n\n", 1)[0], 200)}`));
}
