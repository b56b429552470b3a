// Keys: through the steps of a run, and a list of all keys by `?`.
import { el } from "./text.js";

const HERE = [
  ["j", "the next step", (view) => move(view, 1)],
  ["k", "the step before", (view) => move(view, -1)],
  ["g", "the beginning", (view) => move(view, -Infinity)],
  ["G", "the end", (view) => move(view, Infinity)],
  ["o", "unfold or fold all of this step", () => folds()],
];

/** Listen to keys; `shown()` is the view that is looked at, `more` are keys of the page: `[key, words, act]`. */
export function keys(shown, more = []) {
  const all = [...HERE.map(([key, words, act]) => [key, words, () => shown() && act(shown())]), ...more];
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
    if (event.key === "?") return help(all);
    const found = all.find(([key]) => key === event.key);
    if (!found) return;
    event.preventDefault();
    found[2]();
  });
  return () => help(all);
}

function move(view, by) {
  const { stops } = view;
  if (!stops.length) return;
  const at = stops.findIndex((one) => one === document.activeElement || one.contains(document.activeElement));
  const here = at >= 0 ? at : stops.findIndex((one) => one.getBoundingClientRect().bottom > 80);
  const to = Math.max(0, Math.min(stops.length - 1, at < 0 && by === 1 ? Math.max(here, 0) : here + by));
  stops[to].focus({ preventScroll: true });
  stops[to].scrollIntoView({ block: "start" });
}

function folds() {
  const here = document.activeElement.closest?.(".item");
  const found = here ? [...here.querySelectorAll("details")] : [];
  const open = found.some((one) => !one.open);
  for (const one of found) one.open = open;
}

function help(all) {
  const rows = [...all, ["?", "these keys"], ["Esc", "close"]].map(([key, words]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)));
  const made = el("dialog", { class: "keys", "aria-label": "Keys" }, el("h2", {}, "Keys"), el("dl", {}, rows), el("form", { method: "dialog" }, el("button", {}, "Close")));
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
}
