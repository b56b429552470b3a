// Two runs side by side, step by step, and where they part.
import { ending, item, sums } from "./draw.js";
import { told } from "./reply.js";
import { View } from "./run.js";
import { bytes, follow } from "./server.js";
import { Story } from "./story.js";
import { el, plainly, seen } from "./text.js";

/** Both runs as they stand, in the middle of the page. */
export function beside(main, one, other, page) {
  const made = el("div", { class: "beside" }, el("p", { class: "quiet" }, "The runs are read …"));
  main.append(made);
  const closing = [];
  Promise.all([one, other].map((run) => read(run, closing))).then(
    (runs) => made.replaceChildren(...drawn(runs)),
    (error) => (error.status === 401 ? page.refused(error) : made.replaceChildren(error.message)),
  );
  document.title = "Two runs · codeact";
  return { close: () => closing.forEach((close) => close()) };
}

/** All that happened in a run until now. */
function read(id, closing) {
  const story = new Story();
  story.run(id, null, 0);
  return new Promise((resolve, reject) => {
    const over = () => {
      close();
      resolve({ story, run: story.main });
    };
    const close = follow(id, { begun() {}, broken: reject, entry: (entry) => story.hear(entry), delta() {}, state: over, end: over });
    closing.push(close);
  });
}

/** What a step came to, as a text to be compared. */
function came(one) {
  const { outcome } = one;
  const calls = [...one.calls.values()].map((call) => [call.tool, call.arguments, call.returned]);
  return JSON.stringify([one.kind, one.text, told(one).words, one.source, outcome?.stdout, outcome?.value, outcome?.error?.message, calls]);
}

const items = (run) => run.tasks.flatMap((task) => [task, ...task.items.filter((one) => one.kind !== "forked"), { ended: task }]);

function drawn(runs) {
  const lists = runs.map(({ run }) => items(run));
  const text = (one) => (one === undefined ? "" : one.given ? one.given.task : one.kind ? came(one) : JSON.stringify(one.ended.ended?.output ?? null));
  const most = Math.max(...lists.map((list) => list.length));
  const parting = Array.from({ length: most }).findIndex((_, i) => text(lists[0][i]) !== text(lists[1][i]));
  const desks = runs.map(({ story, run }) => new View(story, run, { bytes }).desk);
  const rows = Array.from({ length: most }).flatMap((_, i) => [
    i === parting ? el("p", { class: "parting" }, "From here on they differ") : null,
    ...lists.map((list, side) => el("div", { class: side ? "right-side" : "left-side" }, list[i] && place(list[i], runs[side], desks[side], `${"ab"[side]}${i}`))),
  ]);
  const heads = runs.map(({ run }) => el("div", { class: "facts quiet" }, el("a", { href: `#/run/${run.id}` }, run.id.slice(0, 12)), el("span", {}, plainly(run.made.model ?? "", 60)), run.task ? sums(run.task, run.last).map((words) => el("span", {}, words)) : null));
  const words = parting < 0 ? "They are the same in all that is compared: words, code, calls and what came of them." : null;
  return [el("h1", {}, "Two runs"), words ? el("p", {}, words) : null, el("div", { class: "sides" }, heads, rows)].filter(Boolean);
}

function place(one, { story, run }, desk, name) {
  if (one.given) return el("h2", {}, ...seen(plainly(one.given.task, 300)));
  return one.kind ? item(one, run, story, desk, name) : ending(one.ended, desk);
}
