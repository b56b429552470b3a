// The steps of a run side by side: as wide as they took, in two lanes of who took it, and as high as their tokens.
import { duration, el, number } from "./text.js";

/** The timeline; `go(step)` is called with the step that is clicked. */
export function timeline(run, go) {
  const steps = run.tasks.flatMap((task) => task.items.filter((item) => item.asked && item.replied));
  if (steps.length < 2) return null;
  const most = Math.max(...steps.map(tokens), 1);
  const time = el("div", { class: "lane time" });
  const weight = el("div", { class: "lane tokens" });
  const whole = steps.reduce((sum, step) => sum + seconds(step), 0);
  for (const step of steps) {
    const spent = seconds(step);
    const model = el("i", { class: "model" });
    const code = el("i", { class: step.outcome?.error ? "code bad" : "code" });
    const wait = el("i", { class: "wait" });
    const [thought, waited] = [step.replied - step.asked, step.waited ?? 0];
    grow(model, thought);
    grow(wait, waited);
    grow(code, Math.max(spent - thought - waited, 0));
    const part = el("span", { class: "part", title: said(step) }, model, wait, code);
    grow(part, Math.max(spent, whole / 300));
    const bar = el("span", { class: "part", title: said(step) }, el("i", { class: "weight" }));
    bar.firstChild.style.height = `${Math.max((100 * tokens(step)) / most, 2)}%`;
    grow(bar, Math.max(spent, whole / 300));
    for (const one of [part, bar]) one.addEventListener("click", () => go(step));
    time.append(part);
    weight.append(bar);
  }
  const words = `${steps.length} steps in ${duration(whole)}: ${duration(steps.reduce((sum, step) => sum + step.replied - step.asked, 0))} of the model, the rest of code and waiting; at most ${number(most)} tokens in a step`;
  return el(
    "figure",
    { class: steps.length > 150 ? "timeline many" : "timeline" },
    el("div", { class: "lanes", role: "img", "aria-label": words }, weight, time),
    el("figcaption", {}, key("model", "model"), key("code", "code"), key("bad", "error"), steps.some((step) => step.waited) ? key("wait", "waiting for you") : null, key("weight", "tokens")),
  );
}

function key(kind, words) {
  return el("span", { class: "key" }, el("i", { class: kind }), words);
}

function grow(part, amount) {
  part.style.flexGrow = String(1000 * Math.max(amount, 0));
}

function seconds(step) {
  return Math.max((step.done ?? step.ran ?? step.replied) - step.asked, 0.001);
}

function tokens(step) {
  return (step.usage?.input_tokens ?? 0) + (step.usage?.output_tokens ?? 0);
}

function said(step) {
  const name = { plan: "plan", answer: "last answer" }[step.kind] ?? `step ${step.number}`;
  return [name, duration(seconds(step)), tokens(step) ? `${number(tokens(step))} tokens` : ""].filter(Boolean).join(" · ");
}
