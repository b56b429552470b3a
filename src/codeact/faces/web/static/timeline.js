// The steps of a run side by side: as wide as they took, in two lanes of who took it, and as high as their tokens.
import { duration, el, number } from "./text.js";

const MOST = 240; // parts that are drawn: where there are more steps, some stand together

/** The timeline; `go(step)` is called with the step that is clicked. */
export function timeline(run, go) {
  const steps = run.tasks.flatMap((task) => task.items.filter((item) => item.asked && item.replied));
  if (steps.length < 2) return null;
  const size = Math.ceil(steps.length / MOST);
  const parts = Array.from({ length: Math.ceil(steps.length / size) }, (_, i) => together(steps.slice(i * size, (i + 1) * size)));
  const most = Math.max(...parts.map((part) => part.tokens), 1);
  const whole = parts.reduce((sum, part) => sum + part.seconds, 0);
  const time = el("div", { class: "lane time" });
  const weight = el("div", { class: "lane tokens" });
  for (const part of parts) {
    const place = (...inner) => {
      const made = el("span", { class: "part", title: said(part), click: () => go(part.steps[0]) }, inner);
      grow(made, Math.max(part.seconds, whole / 300));
      return made;
    };
    const share = (kind, amount) => {
      const made = el("i", { class: kind });
      grow(made, amount);
      return made;
    };
    const bar = el("i", { class: "weight" });
    bar.style.height = `${Math.max((100 * part.tokens) / most, 2)}%`;
    weight.append(place(bar));
    time.append(place(share("model", part.model), share("wait", part.waited), share(part.bad ? "code bad" : "code", part.seconds - part.model - part.waited)));
  }
  const words = `${steps.length} steps in ${duration(whole)}: ${duration(parts.reduce((sum, part) => sum + part.model, 0))} of the model, the rest of code and waiting; ${number(parts.reduce((sum, part) => sum + part.tokens, 0))} tokens`;
  return el(
    "figure",
    { class: parts.length > 120 ? "timeline many" : "timeline" },
    el("div", { class: "lanes", role: "img", "aria-label": words }, weight, time),
    el("figcaption", {}, key("model", "model"), key("code", "code"), key("bad", "error"), parts.some((part) => part.waited) ? key("wait", "waiting for you") : null, key("weight", "tokens")),
  );
}

function key(kind, words) {
  return el("span", { class: "key" }, el("i", { class: kind }), words);
}

function grow(part, amount) {
  part.style.flexGrow = String(1000 * Math.max(amount, 0));
}

/** Some steps as one part of the line. */
function together(steps) {
  const sum = (of) => steps.reduce((all, step) => all + of(step), 0);
  return {
    steps,
    seconds: sum((step) => Math.max((step.done ?? step.ran ?? step.replied) - step.asked, 0.001)),
    model: sum((step) => step.replied - step.asked),
    waited: sum((step) => step.waited ?? 0),
    tokens: sum((step) => (step.usage?.input_tokens ?? 0) + (step.usage?.output_tokens ?? 0)),
    bad: steps.some((step) => step.outcome?.error),
  };
}

function said({ steps, seconds, tokens }) {
  const name = (step) => ({ plan: "plan", answer: "last answer" })[step.kind] ?? `step ${step.number}`;
  const names = steps.length > 1 ? `${name(steps[0])} to ${steps[steps.length - 1].number}` : name(steps[0]);
  return [names, duration(seconds), tokens ? `${number(tokens)} tokens` : ""].filter(Boolean).join(" · ");
}
