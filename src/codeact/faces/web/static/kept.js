// A page that is kept in a file: the run whose entries stand in it, a line of JSON each. It asks nobody for anything.
import { keys } from "./keys.js";
import { View } from "./run.js";
import { Story } from "./story.js";
import { el, plainly } from "./text.js";
import { parse } from "./values.js";

const story = new Story();
for (const line of document.getElementById("entries").textContent.split("\n")) {
  if (line.trim()) story.hear(parse(line));
}
const main = document.querySelector("main");
if (story.main) {
  story.main.cut = true; // where its task has no end: what is kept in a file goes on nowhere
  const view = new View(story, story.main);
  view.update();
  main.replaceChildren(view.element);
  document.title = `${plainly(story.main.tasks[0]?.given.task ?? "", 80)} · codeact`;
  keys(() => view);
} else main.replaceChildren(el("p", {}, "There is nothing in this run."));
