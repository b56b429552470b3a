// A new task: who is to do it, with which files, tools, model and limits, and what that agent may do at all.
import { post } from "./server.js";
import { binary, bytes, count, el, plainly, seen } from "./text.js";

const MANY = 12; // tools, from which on one looks for them by their words
const LARGEST = 36 * 2 ** 20; // bytes of files: as base64 they fit into what the server takes at once

/** The form, in the middle of the page. */
export function beginning(main, page) {
  document.title = "New task · codeact";
  const chosen = { agent: page.agents[0], files: [] };
  const task = el("textarea", { name: "task", rows: 4, required: true, placeholder: "What is to be done?", "aria-label": "task" });
  const settings = el("div");
  const files = el("ul", { class: "files" });
  const input = el("input", { type: "file", multiple: true, class: "hidden", tabindex: "-1", "aria-label": "files", change: () => take(input.files) });
  const alert = el("p", { class: "remark failed", role: "alert" });
  const submit = el("button", { class: "main" }, "Begin");

  const choose = (agent) => {
    chosen.agent = agent;
    settings.replaceChildren(...agentOf(agent));
  };
  const show = () => {
    files.replaceChildren(...chosen.files.map((file) => el("li", { class: "file" }, el("span", { class: "name" }, plainly(file.name, 120)), el("span", { class: "quiet" }, bytes(file.size)), el("button", { type: "button", class: "quiet", "aria-label": `Leave out ${plainly(file.name)}`, click: () => drop(file) }, "Leave out"))));
  };
  const take = (given) => {
    chosen.files.push(...given);
    input.value = "";
    show();
  };
  const drop = (file) => {
    chosen.files = chosen.files.filter((one) => one !== file);
    show();
  };
  const agents = el("select", { name: "agent", "aria-label": "agent", change: () => choose(page.agents[agents.selectedIndex]) }, page.agents.map((one) => el("option", {}, plainly(one.name, 60))));
  const form = el(
    "form",
    { class: "begin", "aria-label": "new task" },
    el("h1", {}, "New task"),
    task,
    files,
    el("div", { class: "row" }, submit, el("button", { type: "button", class: "quiet", click: () => input.click() }, "Add files"), input, page.agents.length > 1 ? el("label", { class: "agent" }, "by ", agents) : null),
    alert,
    settings,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    submit.replaceChildren(chosen.files.length ? "Sending …" : "Begin");
    alert.replaceChildren();
    try {
      const { run } = await post("/api/runs", await asked(form, chosen, task.value));
      page.list.load();
      page.go(`#/run/${run}`);
    } catch (error) {
      if (error.status === 401) page.refused(error);
      alert.replaceChildren(error.message);
    }
    submit.disabled = false;
    submit.replaceChildren("Begin");
  });
  task.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  for (const kind of ["dragover", "drop"]) form.addEventListener(kind, (event) => event.preventDefault());
  form.addEventListener("drop", (event) => take(event.dataTransfer.files));
  choose(chosen.agent);
  main.append(form);
  task.focus();
  return { write: () => task.focus() };
}

/** What is asked of the server: what was left as it is, is left out. */
async function asked(form, { agent, files }, task) {
  const fields = form.elements;
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (size > LARGEST) throw new Error(`These files have ${bytes(size)}: a task is given ${bytes(LARGEST)} at most.`);
  const body = { agent: agent.name, task, files: await Promise.all(files.map(encoded)) };
  const limits = {};
  if (fields.steps.value) body.max_steps = Number(fields.steps.value);
  if (fields.seconds.value) limits.seconds = Number(fields.seconds.value);
  if (fields.memory.value.trim()) limits.memory = fields.memory.value.trim();
  if (Object.keys(limits).length) body.limits = limits;
  if (fields.model && fields.model.value !== agent.model) body.model = fields.model.value;
  const boxes = [...form.querySelectorAll("[name=tool]")];
  if (boxes.some((box) => !box.checked)) body.tools = boxes.filter((box) => box.checked).map((box) => box.value);
  return body;
}

function encoded(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve({ name: file.name, base64: reader.result.slice(reader.result.indexOf(",") + 1) });
    reader.onerror = () => reject(new Error(`${file.name} cannot be read`));
    reader.readAsDataURL(file);
  });
}

/** What is said of an agent, and what of it can be chosen. */
function agentOf(agent) {
  const { limits, imports } = agent;
  const allowed = imports.everything ? "imports everything" : `imports ${[imports.base === false ? "" : "the base set", ...(imports.names ?? [])].filter(Boolean).join(", ") || "nothing"}`;
  const facts = [plainly(agent.model, 80), `sandbox ${plainly(agent.sandbox, 40)}${agent.level ? `, level ${plainly(agent.level, 40)}` : ""}`, allowed, (agent.network ?? []).length ? `reaches ${agent.network.map((host) => plainly(host, 60)).join(", ")}` : "reaches no host", agent.tools.length ? count(agent.tools.length, "tool") : "no tools"];
  const models = agent.models ?? [agent.model];
  const field = (name, label, usual, attributes = {}) => el("label", {}, el("span", {}, label), el("input", { name, placeholder: usual, ...attributes }));
  const chosen = el(
    "div",
    { class: "fields" },
    models.length > 1 ? el("label", {}, el("span", {}, "model"), el("select", { name: "model" }, models.map((one) => el("option", { value: one }, plainly(one, 80))))) : null,
    field("steps", "steps at most", String(limits.steps), { type: "number", min: "1", max: "1000000" }),
    field("seconds", "seconds for a cell", String(limits.seconds), { type: "number", min: "0.01", step: "any" }),
    field("memory", "memory", binary(limits.memory).replace(" ", ""), { type: "text" }),
  );
  const tools = agent.tools.map((tool) =>
    el("li", {}, el("label", {}, el("input", { type: "checkbox", name: "tool", value: tool.name, checked: true }), el("span", {}, el("code", {}, el("b", {}, plainly(tool.name, 80)), ...seen((tool.signature ?? "").slice(0, 300))), el("span", { class: "quiet" }, ` ${plainly((tool.doc ?? "").split("\n\n", 1)[0], 200)}`)))),
  );
  const made = [el("p", { class: "facts quiet" }, facts.map((words) => el("span", {}, words)))];
  if (agent.description) made.unshift(el("p", { class: "quiet" }, ...seen(agent.description)));
  const parts = el("details", {}, el("summary", {}, models.length > 1 ? "Model, tools and limits" : "Tools and limits"), chosen, tools.length > MANY ? finder(tools) : null, tools.length ? el("ul", { class: "tools" }, tools) : null);
  return [...made, parts];
}

/** Of many tools, find some, and have these or none. */
function finder(tools) {
  const texts = tools.map((row) => row.textContent.toLowerCase());
  const search = el("input", { type: "search", placeholder: "Find a tool", "aria-label": "find a tool" });
  search.addEventListener("input", () => tools.forEach((row, i) => (row.hidden = !search.value.toLowerCase().split(/\s+/).every((word) => texts[i].includes(word)))));
  search.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  const tick = (all) => tools.filter((row) => !row.hidden).forEach((row) => (row.querySelector("input").checked = all));
  const button = (words, all) => el("button", { type: "button", class: "quiet", click: () => tick(all) }, words);
  return el("div", { class: "row" }, search, button("All of these", true), button("None of these", false));
}
