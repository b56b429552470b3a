// The tool calls of a step, each with its arguments, what came of it, and the runs of agents that it asked.
import { patch } from "./patch.js";
import { block, count, duration, el, fold, money, number, plainly, seen } from "./text.js";
import { drawn, repr } from "./values.js";

const FEW = 8; // calls that are shown of a step before somebody asks for more
const LINE = 90; // characters of a call, on its line

/** The calls of a step; null where there are none. `old` is the element that shows them now, which is kept. */
export function calls(one, run, story, desk, old) {
  const hides = (call) => call.tool === "cell" || call.tool === "plan" || (desk.question && call.asked && !call.given);
  const called = [...one.calls.values()].filter((call) => !hides(call));
  const failed = (one.answers ?? []).filter((answer) => answer.failed);
  const lines = [
    ...decided(one),
    ...called.flatMap((call) => [[call.key, call.changes, () => drawCall(call)], ...story.below(run, call.key).map((below) => nested(below, story, desk))]),
    ...failed.map((answer, i) => [`failed${i}`, 0, () => answered(answer)]),
    ...one.connections.map((news, i) => [`connection${i}`, 0, () => connection(news)]),
  ];
  if (!lines.length) return null;
  const list = old ?? el("ul", { class: "calls", "aria-label": "tool calls" });
  const hidden = list.whole ? 0 : lines.length - FEW;
  const more = () => el("li", {}, el("button", { type: "button", class: "quiet more", click: () => whole() }, `${number(hidden)} more`));
  const whole = () => {
    list.whole = true;
    patch(list, lines);
  };
  patch(list, hidden > 1 ? [...lines.slice(0, FEW), ["more", hidden, more]] : lines);
  return list;
}

/** What was decided about the cell itself, or a plan. */
function decided(one) {
  return [...one.calls.values()]
    .filter((call) => call.given && (call.tool === "cell" || call.tool === "plan"))
    .map((call) => [call.key, call.changes, () => el("li", { class: "decided" }, decision(call))]);
}

function decision({ tool, given }) {
  const did = { allow: "allowed by you", "allow for the session": "allowed by you, for the session", deny: "denied by you", edit: "changed by you" };
  const what = { cell: "The code was ", plan: "The plan was " }[tool] ?? "";
  const name = given.decision === "deny" ? "denied" : "allowed";
  return el("span", { class: `decision ${name}` }, `${what}${did[given.decision] ?? given.decision}`, given.reason ? ": " : "", ...seen(given.reason ?? ""));
}

function drawCall(call) {
  const failure = call.returned?.failure;
  const state = failure ? "failed" : call.returned ? "done" : call.given?.decision === "deny" ? "denied" : "open";
  const line = [
    el("code", {}, el("b", {}, plainly(call.tool, 60)), ...seen(shortly(call.edited ?? call.arguments))),
    call.given ? decision(call) : null,
    el("span", { class: "came" }, ...came(call)),
    call.calledAt && call.returnedAt ? el("span", { class: "seconds" }, duration(call.returnedAt - call.calledAt)) : null,
  ];
  return el("li", { class: `call ${state}` }, fold(el("span", { class: "line" }, line), () => whole(call), { class: "call-fold" }));
}

function shortly(given) {
  const text = `(${Object.entries(given ?? {}).map(([name, value]) => `${name}=${repr(value, 200).replace(/\s+/g, " ")}`).join(", ")})`;
  return text.length <= LINE ? text : `${text.slice(0, LINE - 2)}…)`;
}

function came(call) {
  if (call.returned?.failure) return seen(plainly(`${call.returned.failure.type}: ${call.returned.failure.message}`, LINE));
  if (call.returned) return seen(plainly(repr(call.returned.value?.[0] ?? null, 300), LINE));
  return [call.calledAt ? "is running …" : call.given?.decision === "deny" ? "was not called" : call.asked && !call.given ? "waits for an answer" : ""];
}

/** All of a call: its arguments, those that it was given in their place, and what came of it. */
function whole(call) {
  const rows = (given) => Object.entries(given ?? {}).flatMap(([name, value]) => [el("dt", {}, plainly(name)), el("dd", {}, shown(value))]);
  const parts = [el("dl", { class: "arguments" }, rows(call.arguments))];
  if (call.edited) parts.push(el("p", { class: "remark" }, "It was called with these in their place:"), el("dl", { class: "arguments" }, rows(call.edited)));
  if (call.returned?.failure) parts.push(block(`${call.returned.failure.type}: ${call.returned.failure.message}`, { class: "error" }));
  else if (call.returned) parts.push(el("p", { class: "remark" }, "It gave:"), shown(call.returned.value?.[0] ?? null));
  for (const { model, cost } of call.spent) parts.push(el("p", { class: "remark" }, `It asked ${plainly(model)}${cost ? `, for ${money(cost)}` : ""}.`));
  return parts;
}

function shown(value) {
  return typeof value === "string" ? block(value, { class: "value" }) : drawn(value);
}

function answered({ call, text }) {
  const line = [el("code", {}, el("b", {}, plainly(call.name, 60)), plainly(`(${call.arguments})`, LINE)), el("span", { class: "came" }, ...seen(plainly(text, 300)))];
  return el("li", { class: "call failed" }, el("span", { class: "line" }, line));
}

function connection({ host, port, address, refused }) {
  const words = refused ? `not connected: ${refused}` : `connected to ${host}:${port}${address && address !== host ? ` (${address})` : ""}`;
  return el("li", { class: refused ? "call failed" : "call" }, ...seen(words));
}

/** The run of an agent that was asked, folded in; it unfolds by itself where somebody has to answer. */
function nested(run, story, desk) {
  const draw = (old) => {
    const made = old ?? el("li", { class: "call" }, fold(el("span"), () => desk.inside(run, story), { class: "nested" }));
    const steps = run.tasks.reduce((sum, task) => sum + task.steps, 0);
    const state = run.state === "ended" ? duration((run.task?.endedAt ?? run.last) - run.at) : run.state === "approval" ? "waits for your answer" : "is at work …";
    const title = [el("b", {}, plainly(run.agent || "agent", 60)), ` · ${count(steps, "step")} · ${state} · `, el("span", { class: "quiet" }, plainly(run.made.model ?? "", 60))];
    made.querySelector("summary > span").replaceChildren(...title);
    if (run.state === "approval" && desk.question) made.querySelector("details").open = true;
    return made;
  };
  return [run.id, `${run.tasks.length}.${run.task?.steps}.${run.state}.${run.agent}`, draw];
}
