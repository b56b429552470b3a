// Calls that were cut off, of which nobody knows whether they took effect: a person finds out, and says it.
import { el, plainly, seen } from "./text.js";
import { parse, repr } from "./values.js";

/** The calls that the pause of a run is about: those that it names, else all that were cut off, here and below. */
export function unknown(story) {
  const cut = (call) => call.calledAt && (!call.returned || call.returned.failure?.type === "Interrupted");
  const found = [...story.runs.values()].flatMap((run) =>
    (run.task?.items ?? []).filter((item) => !item.outcome && !item.answers).flatMap((item) => [...item.calls.values()]).filter((call) => cut(call) && !story.below(run, call.key).length),
  );
  const named = found.filter((call) => story.main.task?.ended?.error?.includes(call.key));
  return named.length ? named : found;
}

/** Ask about each; `go(body)` is called with what was said, as JSON for the server. */
export function ask(calls, go) {
  const rows = calls.map(row);
  const form = el("form", {}, el("h2", {}, "Did these take effect?"), el("p", { class: "quiet" }, "They were cut off, and nobody knows what became of them. Find out, and say it: then the run goes on."), rows.map(({ element }) => element), el("div", { class: "row" }, el("button", { type: "submit", class: "main" }, "Go on"), el("button", { type: "button", class: "plain", click: () => made.close() }, "Cancel")));
  const made = el("dialog", { "aria-label": "Calls that were cut off" }, form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!form.reportValidity()) return;
    made.close();
    go(`{"calls": {${rows.map(({ key, said }) => `${JSON.stringify(key)}: ${said()}`).join(", ")}}}`);
  });
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
}

function row(call) {
  const given = Object.entries(call.edited ?? call.arguments).map(([name, value]) => `${name}=${repr(value, 200)}`);
  const value = el("input", { type: "text", class: "mono", value: "null", "aria-label": "what it gave, as JSON", hidden: true });
  const choice = el("select", { "aria-label": `what became of ${plainly(call.tool)}` }, [["retry", "call it again"], ["failed", "it failed"], ["done", "it took effect, and gave"]].map(([name, words]) => el("option", { value: name }, words)));
  choice.addEventListener("change", () => (value.hidden = choice.value !== "done"));
  value.addEventListener("input", () => {
    try {
      parse(value.value);
      value.setCustomValidity("");
    } catch {
      value.setCustomValidity("not JSON");
    }
  });
  const line = el("code", {}, el("b", {}, plainly(call.tool, 60)), ...seen(plainly(`(${given.join(", ")})`, 300)));
  return {
    key: call.key,
    element: el("div", { class: "unknown" }, line, el("div", { class: "row" }, choice, value)),
    said: () => (choice.value === "done" ? `{"done": ${value.value}}` : JSON.stringify(choice.value)),
  };
}
