// The page of `codeact serve`: runs on the left, and beside them a run, a new task, or two runs next to each other.
import { beginning } from "./begin.js";
import { beside } from "./beside.js";
import { keys } from "./keys.js";
import { RunList } from "./list.js";
import { admit, admitted, dismiss, get, Refused } from "./server.js";
import { seek, Watch } from "./watch.js";
import { el } from "./text.js";

const main = el("main", { id: "main", tabindex: "-1" });
const said = el("p", { class: "aside", role: "status", "aria-live": "polite" });
const list = new RunList();
let shown = null; // what stands in the middle: `close()`, and `view` where that is a run
let help = () => {};

/** What the rooms of the page may ask of it. */
const page = {
  list,
  go: (place) => (location.hash = place),
  again: () => route(),
  say: (words) => said.replaceChildren(words),
  refused(error) {
    if (error instanceof Refused && error.status === 401) ask("That token is not the one of this server, or no longer.");
    else page.say(error.message);
  },
};

function frame() {
  const side = el("aside", { id: "runs", "aria-label": "runs" });
  const menu = el("button", { type: "button", class: "menu", "aria-expanded": "false", "aria-controls": "runs", click: () => open(!document.body.classList.contains("listing")) }, "Runs");
  const open = (whether) => {
    document.body.classList.toggle("listing", whether);
    menu.setAttribute("aria-expanded", String(whether));
  };
  addEventListener("hashchange", () => open(false));
  main.addEventListener("click", () => open(false));
  side.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    open(false);
    document.activeElement.blur();
  });
  side.append(
    el("div", { class: "top" }, el("a", { class: "name", href: "#/" }, "codeact"), el("a", { class: "new", href: "#/" }, "New task")),
    list.element,
    el("p", { class: "foot" }, el("button", { type: "button", class: "quiet", click: () => help() }, "Keys"), el("span", { class: "quiet" }, " or ?")),
  );
  document.body.replaceChildren(el("a", { class: "skip", href: "#main", click: skip }, "To the run"), menu, side, main, said);
}

function skip(event) {
  event.preventDefault();
  main.focus();
}

function route() {
  const [, what, one, other] = location.hash.match(/^#\/(\w*)\/?([0-9a-f]*)\/?([0-9a-f]*)$/) ?? ["", "", "", ""];
  shown?.close?.();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  page.say("");
  main.replaceChildren();
  document.title = "codeact";
  if (what === "run") shown = new Watch(main, one, page);
  else if (what === "compare") shown = beside(main, one, other, page);
  else shown = beginning(main, page);
  list.mark(what === "run" ? one : null);
  scrollTo(0, 0);
}

/** Ask a person for the token. */
function ask(why) {
  dismiss();
  shown?.close?.();
  list.stop();
  const field = el("input", { type: "password", name: "token", autocomplete: "off", required: true, "aria-label": "token" });
  const form = el("form", { class: "token" }, el("h1", {}, "codeact"), el("p", {}, why), el("p", { class: "quiet" }, "Open the address that codeact serve printed, or write its token here."), el("div", { class: "row" }, field, el("button", { class: "main" }, "Open")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    admit(field.value.trim());
    begin();
  });
  document.body.replaceChildren(form);
  field.focus();
}

async function begin() {
  try {
    page.agents = await get("/api/agents");
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return page.refused(error);
    document.body.replaceChildren(el("p", { class: "token" }, `The server cannot be reached: ${error.message}`));
    return setTimeout(begin, 3000);
  }
  frame();
  list.start(page);
  route();
}

help = keys(() => shown?.view, [
  ["n", "a new task", () => page.go("#/")],
  ["/", "find a run", () => list.find()],
  ["s", "say something, or give another task", () => shown?.write?.()],
  ["a", "the question that waits for an answer", seek],
]);
addEventListener("hashchange", () => {
  if (location.hash.startsWith("#token=") && admitted()) return begin();
  return route();
});
if (admitted()) begin();
else ask("This page needs a token.");
