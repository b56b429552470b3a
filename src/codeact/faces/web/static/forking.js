// A new run from a step of another: a button beside the step, and what the model is to be told there.
import { post } from "./server.js";
import { el } from "./text.js";

/** The button of a step. */
export function forking(step, run, page) {
  const at = step.place;
  if (!at) return "";
  return el("button", { type: "button", class: "quiet fork", "aria-label": `Fork behind step ${at}`, title: "A new run that goes on from here", click: () => ask(at, run, page) }, "Fork");
}

function ask(at, run, page) {
  const text = el("textarea", { rows: 3, "aria-label": "what the model is told", placeholder: "What is the model to be told here? (optional)" });
  const alert = el("p", { class: "remark failed", role: "alert" });
  const begin = el("button", { type: "submit", class: "main" }, "Fork");
  const form = el("form", {}, el("h2", {}, `Go on anew behind step ${at}`), el("p", { class: "quiet" }, "A new run begins with all that happened up to there. This one stays as it is, and no tool is called again."), text, el("div", { class: "row" }, begin, el("button", { type: "button", class: "plain", click: () => made.close() }, "Cancel")), alert);
  const made = el("dialog", { "aria-label": "Fork" }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    begin.disabled = true;
    try {
      const found = await post(`/api/runs/${run.id}/fork`, text.value.trim() ? { at, say: text.value.trim() } : { at });
      made.close();
      page.list.load();
      page.go(`#/run/${found.run}`);
    } catch (error) {
      if (error.status === 401) page.refused(error);
      alert.replaceChildren(error.message);
      begin.disabled = false;
    }
  });
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
}
