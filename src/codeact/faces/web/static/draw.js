// A step, and each line between two steps, as elements: a function of what happened and of nothing else.
//
// `desk` is what may be done here: it draws a question that waits for an answer, and has a way to fork. A page that is
// kept in a file has an empty desk.
import { code } from "./code.js";
import { calls } from "./calls.js";
import { markdown } from "./markdown.js";
import { patch } from "./patch.js";
import { file, keep, pictured } from "./pictures.js";
import { preview } from "./previews.js";
import { told } from "./reply.js";
import { block, bytes, count, duration, el, fold, latest, money, number, plainly, seen } from "./text.js";
import { drawn, repr } from "./values.js";

const NAMES = { plan: "Plan", answer: "Last answer" };

/** The element of an item, made once and brought up to date; `place` names it in the page. */
export function item(one, run, story, desk, place) {
  const made = (one.element ??= el("article", { class: `item ${one.kind}`, id: place, tabindex: "-1" }));
  if (one.asked) drawStep(made, one, run, story, desk);
  else if (!made.firstChild) made.append(...line(one));
  return made;
}

function line(one) {
  switch (one.kind) {
    case "said":
      return [el("h3", {}, "You said"), el("div", { class: "body words" }, el("p", {}, ...seen(one.text)))];
    case "budget": {
      const { kind, spent, limit } = one.text;
      const words = kind === "money" ? `${money(spent)} of ${money(limit)} is spent` : `${number(spent)} of ${number(limit)} ${kind.replace("_", " ")} are used`;
      return [el("p", { class: "body remark warning" }, `Budget: ${words}.`)];
    }
    case "trouble":
      return [el("p", { class: "body remark failed", role: "note" }, ...seen(one.text))];
    case "summary":
      return [fold("What came before was summed up, to make room", () => el("div", { class: "words" }, ...markdown(one.text)), { class: "body remark" })];
    case "forked":
      return [forked(one)];
    default:
      return [el("p", { class: "body remark" }, ...seen(one.text ?? ""))];
  }
}

function forked({ from, behind, said }) {
  const where = behind === null ? "as it stood then" : behind ? `behind its step ${behind}` : "from its beginning";
  const words = el("p", { class: "remark" }, `Goes on beside the run ${plainly(from ?? "", 12).slice(0, 12)}, ${where}.`);
  return el("div", { class: "body" }, words, said ? el("div", { class: "words" }, el("p", {}, ...seen(`You said: ${said}`))) : null);
}

function drawStep(made, one, run, story, desk) {
  const v = (...parts) => parts.map((part) => one.changes[part] ?? 0).join(".");
  const name = NAMES[one.kind] ?? `Step ${one.number}`;
  made.classList.toggle("bad", Boolean(one.outcome?.error || one.failed));
  patch(made, [
    ["name", 0, () => el("h3", {}, name)],
    ["head", `${v("head")}${Boolean(one.done)}`, () => figures(one, desk, run)],
    ["body", NaN, (old) => body(old ?? el("div", { class: "body" }), one, run, story, desk, v)],
  ]);
}

/** Seconds, tokens and cost of a step, in words; and what can be done with it. */
function figures(one, desk, run) {
  const tokens = one.usage ? total(one.usage) : null;
  const words = [
    one.done || one.ran ? duration((one.done ?? one.ran) - one.asked) : "",
    tokens ? `${number(tokens)} tokens` : "",
    one.cost ? `cost ${money(one.cost)}` : "",
  ].filter(Boolean);
  const made = el("div", { class: "figures" }, words.map((word) => el("span", { title: split(one) }, word)));
  if (desk.fork && one.kind === "step" && one.done) made.append(desk.fork(one, run));
  return made;
}

function total(usage) {
  return usage.input_tokens === undefined || usage.output_tokens === undefined ? null : usage.input_tokens + usage.output_tokens;
}

function split(one) {
  const usage = one.usage ?? {};
  const seconds = [
    one.replied ? `the model ${duration(one.replied - one.asked)}` : "",
    one.outcome?.seconds ? `its code ${duration(one.outcome.seconds)}` : "",
    one.waited ? `waited for an answer ${duration(one.waited)}` : "",
  ];
  const tokens = [
    usage.input_tokens ? `${number(usage.input_tokens)} tokens read` : "",
    usage.cached_tokens ? `${number(usage.cached_tokens)} of them from the cache` : "",
    usage.output_tokens ? `${number(usage.output_tokens)} written` : "",
  ];
  return [...seconds, ...tokens].filter(Boolean).join("\n");
}

function body(made, one, run, story, desk, v) {
  const version = v("said");
  const what = told(one);
  const asks = [...one.calls.values()].some((call) => call.tool === "cell" && call.asked && !call.given && desk.question);
  patch(made, [
    ["thinking", `${version}${what.thinking.length}`, () => thinking(one, what.thinking)],
    ["words", `${version}${Boolean(run.task.ended)}`, () => words(one, what.words, run)],
    ["draft", `${version}${what.draft.length}${asks}`, () => (asks ? null : what.draft && code(what.draft, { class: "code draft", "aria-label": "code that is being written" }))],
    ["code", `${v("code")}${Boolean(what.draft)}`, () => (what.draft ? null : source(one))],
    ["asked", v("asked"), () => asked(one, run, desk)],
    ["calls", NaN, (old) => calls(one, run, story, desk, old)],
    ["output", v("output"), (old) => output(one, old, desk)],
    ["notes", `${v("notes", "end")}`, () => notes(one, run, desk)],
    ["now", now(one, run, what), () => now(one, run, what) && el("p", { class: "remark now" }, ...seen(now(one, run, what)))],
  ]);
  return made;
}

/** What a step waits for, where that is under way and nothing else shows it. */
function now(one, run, what) {
  if (one !== run.step || one.done || run.task.ended || run.state === "cut") return "";
  if (run.waiting) return run.waiting;
  if (!one.reply && !one.failed && !what.words && !what.draft && !what.thinking) return "waits for the model";
  return one.running && run.state === "running" && !one.streamed.stdout && !one.calls.size ? "runs" : "";
}

function thinking(one, text) {
  if (!text) return null;
  const now = !one.reply && !one.done && !one.streamed.text;
  return fold(now ? "Thinking …" : "Thinking", () => el("div", { class: "words" }, ...markdown(text)), { class: "thinking", open: now });
}

function words(one, text, run) {
  if (one.kind === "plan" && one.plan !== undefined && one.plan !== one.reply?.text) {
    const mine = [el("p", { class: "remark" }, "Changed by you:"), ...markdown(one.plan)];
    return el("div", { class: "words" }, ...mine, fold("As the model wrote it", () => el("div", { class: "words" }, ...markdown(text))));
  }
  const told = run.tasks.some((task) => task.ended?.error === one.failed?.message); // by the end of the task
  const failed = one.failed && !told && el("p", { class: "remark failed" }, ...seen(`${one.failed.type}: ${one.failed.message}`));
  return text || failed ? el("div", { class: "words" }, ...markdown(text), failed) : null;
}

function source(one) {
  const text = one.source ?? one.refused?.source;
  if (!text) return null;
  const label = one.cell ? `cell ${one.cell}` : "code that was not run";
  return code(text, { "aria-label": label, class: one.source ? "code" : "code refused" });
}

function asked(one, run, desk) {
  const open = [...one.calls.values()].filter((call) => call.asked && !call.given);
  if (!open.length) return null;
  if (desk.question) return el("div", { class: "questions" }, open.map((call) => desk.question(call, run)));
  return el("p", { class: "remark warning" }, `Waits for an answer: may ${open.map((call) => plainly(call.tool)).join(", ")} run?`);
}

function output(one, old, desk) {
  const came = one.outcome;
  if (!came) return streaming(one, old);
  const made = el("div", { class: "output" });
  for (const stream of ["stdout", "stderr"]) if (came[stream]?.trim()) made.append(block(came[stream], { class: stream, "aria-label": stream }));
  const shown = came.preview ?? came.value;
  if (shown !== null && shown !== undefined) made.append(preview(shown));
  (one.images ?? []).forEach((image, i) => made.append(pictured(image, image.media_type ?? "image/png", `picture ${i + 1} of cell ${one.cell}`, desk) ?? el("p", { class: "remark" }, "A picture of a kind that is not shown here.")));
  if (came.error) made.append(block(came.error.traceback || `${came.error.type}: ${came.error.message}`, { class: "error", "aria-label": "error" }));
  if (came.gone) made.append(el("p", { class: "remark failed" }, ...seen(`The interpreter did not outlive this cell: ${came.gone.why}.`)));
  return made.firstChild ? made : null;
}

/** Output as it comes: appended to, not drawn anew. */
function streaming(one, old) {
  const { stdout, stderr } = one.streamed;
  if (!stdout && !stderr) return null;
  const made = old?.dataset.live ? old : el("div", { class: "output", "data-live": "yes" });
  patch(made, [
    ["stdout", stdout.length, () => stdout && latest(stdout, { class: "stdout" })],
    ["stderr", stderr.length, () => stderr && latest(stderr, { class: "stderr" })],
  ]);
  return made;
}

function notes(one, run, desk) {
  const all = [...one.notes, ...(one.outcome?.notes ?? [])];
  const complaints = one.refused?.complaints ?? [];
  const words = run.made.action === "json" || run.made.action === "text" ? "" : said(one);
  const large = (one.shortened ?? []).map((entry) => el("li", {}, whole(entry, desk)));
  if (!all.length && !complaints.length && !large.length && !words) return null;
  return el("ul", { class: "notes" }, complaints.map((words) => el("li", { class: "failed" }, ...seen(words))), all.map((words) => el("li", {}, ...seen(words))), words ? el("li", {}, words) : null, large);
}

/** Of a reply of which nothing else says that nothing of it ran. */
function said(one) {
  const acted = one.source || one.refused || one.answers || one.calls.size || one.notes.length;
  return one.kind === "step" && one.reply && one.done && !acted ? "There was nothing in it to run." : "";
}

/** An entry that is too long to be shown whole can be saved. */
function whole({ run, seq, shortened }, desk) {
  const save = () => desk.bytes([run, seq]).then((data) => keep(`entry-${seq}.json`, data), (error) => said.replaceChildren(` ${error.message}`));
  const said = el("span", { class: "failed", role: "alert" });
  return el("span", { class: "whole-of" }, `${bytes(shortened)} in all, of which a part is shown. `, desk.bytes ? el("button", { type: "button", class: "quiet", click: save }, "Save all of it") : null, said);
}

/** The end of a task: its answer, or why there is none, and the files that it left. */
export function ending(task, desk = {}) {
  if (!task.ended) return null;
  const { stop_reason: reason, output: box, last, error } = task.ended;
  const made = el("section", { class: `ending ${reason === "final_answer" ? "good" : "stopped"}`, tabindex: "-1" });
  const value = reason === "final_answer" ? box?.[0] : last ? last.value?.[0] : undefined;
  if (value !== undefined || reason === "final_answer") made.append(el("h3", {}, "Answer"), answer(value ?? null));
  if (reason !== "final_answer") made.append(el("p", { class: "remark failed" }, ...seen(`${STOPS[reason] ?? reason}${error ? `: ${error}` : ""}`)));
  if (task.files.length) made.append(el("h4", {}, "Files"), el("ul", { class: "files" }, task.files.map((one) => file(one, desk))));
  if (task.ended.shortened) made.append(el("p", { class: "remark" }, whole(task.ended, desk)));
  if (task.leftOut.length) made.append(el("ul", { class: "notes" }, task.leftOut.map((one) => el("li", {}, ...seen(`Left out: ${one.name}: ${one.why}`)))));
  return made;
}

export const STOPS = {
  final_answer: "answered",
  max_steps: "The steps are used up",
  budget: "The budget is used up",
  stalled: "The model stopped acting",
  cancelled: "Stopped",
  refused: "The model refused",
  error: "It failed",
  paused: "Paused",
};

function answer(value) {
  if (typeof value === "string") return el("div", { class: "words answer" }, ...markdown(value));
  return el("div", { class: "answer" }, value === null ? el("pre", { class: "value" }, repr(value)) : drawn(value));
}

/** The figures of a task in words: steps, seconds, tokens, cost. */
export function sums(task, until) {
  const { usage } = task;
  const tokens = usage.input_tokens === null || usage.output_tokens === null ? "tokens not known" : `${number(usage.input_tokens + usage.output_tokens)} tokens`;
  return [
    count(task.steps, "step"),
    task.calls ? count(task.calls, "tool call") : "",
    task.endedAt || until ? duration((task.endedAt ?? until) - task.at - task.rested) : "",
    usage.requests ? tokens : "",
    task.cost ? `cost ${money(task.cost)}` : "",
  ].filter(Boolean);
}
