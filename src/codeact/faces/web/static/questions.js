// A question that waits for an answer: may this run? It is answered where it stands: allowed, changed, or denied.
import { post } from "./server.js";
import { block, count, el, number, plainly, seen, unseen } from "./text.js";
import { laidOut, parse, repr } from "./values.js";

const ROWS = 16; // of a field
const SHOWN = 1400; // characters that about fit into it
const TAGGED = /"\$\w+":/; // a value that JSON has no word for, as guest/values.py writes it
const ASKED = { cell: "May this code run?", plan: "May it go on by this plan?" };

/** The panel of a call that is asked about in this run. */
export function question(call, run, page) {
  const fields = Object.entries(call.arguments).map(([name, value]) => argument(name, value, call));
  const alert = el("p", { class: "remark failed", role: "alert" });
  const sent = el("p", { class: "remark", role: "status" });
  const reason = el("input", { type: "text", "aria-label": "why not", placeholder: "why not, for the model (optional)" });
  const buttons = [];
  const decide = async (decision, more = "") => {
    for (const button of buttons) button.disabled = true;
    alert.replaceChildren();
    try {
      sent.replaceChildren("The answer is sent …");
      await post(`/api/runs/${run}/approve`, `{"key": ${JSON.stringify(call.key)}, "decision": "${decision}"${more}}`);
    } catch (error) {
      if (error.status === 401) page.refused(error);
      alert.replaceChildren(error.message);
      sent.replaceChildren();
      for (const button of buttons) button.disabled = false;
    }
  };
  const allow = () => {
    const wrong = fields.find((field) => !field.valid);
    if (wrong) return wrong.input.focus();
    if (!fields.some((field) => field.changed)) return decide("allow");
    const given = fields.map((field) => `${JSON.stringify(field.name)}: ${field.text}`);
    return decide("edit", `, "arguments": {${given.join(", ")}}`);
  };
  const main = el("button", { type: "submit", class: "main" }, "Allow");
  const session = el("button", { type: "button", class: "plain", click: () => decide("session") }, "Allow for the session");
  const deny = el("button", { type: "button", class: "plain bad", click: () => decide("deny", `, "reason": ${JSON.stringify(reason.value)}`) }, "Deny");
  buttons.push(main, session, deny);
  const note = () => {
    const changed = fields.some((field) => field.changed);
    main.replaceChildren(changed ? "Allow with these changes" : "Allow");
    session.hidden = changed;
  };
  for (const field of fields) field.input.addEventListener("input", note);
  reason.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    deny.click();
  });
  const words = ASKED[call.tool] ?? ["May ", el("code", {}, plainly(call.tool, 80)), " run?"];
  const form = el("form", { class: "question", "aria-label": "question" }, el("h4", {}, words), fields.map((field) => field.element), el("div", { class: "row" }, main, session), el("div", { class: "row" }, deny, reason), sent, alert);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    allow();
  });
  return form;
}

/** One argument, to be read and changed: a text as it is, another value as JSON. */
function argument(name, value, call) {
  const isText = typeof value === "string";
  const before = isText ? value : laidOut(value);
  const lines = before.split("\n").length;
  const rows = Math.min(Math.max(lines, Math.ceil(before.length / 90), 1), ROWS);
  const input = el("textarea", { rows, spellcheck: "false", class: isText && call.tool !== "cell" ? "" : "mono", name });
  input.value = before;
  const trouble = el("span", { class: "remark failed" });
  const read = el("pre", { class: "told", hidden: true });
  const reads = () => {
    read.hidden = !TAGGED.test(input.value) || !field.valid;
    if (!read.hidden) read.replaceChildren(...seen(`that is ${repr(parse(input.value), 2000)}`));
  };
  const field = {
    name,
    input,
    get changed() {
      return input.value !== input.defaultValue;
    },
    get text() {
      return isText ? JSON.stringify(input.value) : input.value;
    },
    get valid() {
      return this.changed ? isText || isJson(input.value) : true;
    },
    element: el("label", { class: "argument" }, el("span", { class: "label" }, plainly(name, 60)), input, isText ? null : read, hidden(before, lines), trouble),
  };
  input.defaultValue = before;
  input.addEventListener("input", () => {
    trouble.replaceChildren(field.valid ? "" : "not JSON");
    if (!isText) reads();
  });
  if (!isText) reads();
  return field;
}

/** A field shows a text as it is, and the beginning of a long one: what is not to be seen in it is told beneath. */
function hidden(text, lines) {
  const few = unseen(text);
  const long = text.length > SHOWN || lines > ROWS;
  if (!few && !long) return null;
  const words = [long ? `${count(lines, "line")}, ${count(text.length, "character")} in all.` : "", few ? `${number(few)} of its characters cannot be seen:` : ""];
  return el("span", { class: "told" }, words.filter(Boolean).join(" "), few ? block(text) : null);
}

function isJson(text) {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
}
