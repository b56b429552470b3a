// A run as it happens: followed by the numbers of its entries, steered, and looked at again when a line breaks.
import { forking } from "./forking.js";
import { described, standing } from "./list.js";
import { question } from "./questions.js";
import { STATES, View } from "./run.js";
import { bytes, follow, post } from "./server.js";
import { Story } from "./story.js";
import { duration, el, plainly } from "./text.js";
import { ask, unknown } from "./unknown.js";

const LATE = 400; // milliseconds until it is said that a run is being read
const LONG = 3; // seconds after which it is said how long something takes
const NEAR = 160; // pixels from the end within which a reader wants to see what comes

export class Watch {
  constructor(main, run, page) {
    Object.assign(this, { run, page, state: null, told: "" });
    this.story = new Story();
    this.story.run(run, null, 0);
    const desk = {
      question: (call) => question(call, run, page),
      bytes,
      fork: (step) => forking(step, this.story.main, page),
    };
    this.view = new View(this.story, this.story.main, desk);
    this.bar = new Bar(this);
    this.newest = el("button", { type: "button", class: "newest", hidden: true, click: () => this.end() }, "To the newest");
    const reading = el("p", { class: "reading quiet", role: "status", hidden: true }, "The run is read …");
    const late = setTimeout(() => (reading.hidden = false), LATE);
    main.replaceChildren(reading, this.view.element, this.newest, this.bar.element);
    const scrolled = () => {
      this.following = this.near;
      if (this.near) this.newest.hidden = true;
    };
    const sizes = new ResizeObserver(() => this.grown());
    addEventListener("scroll", scrolled, { passive: true });
    sizes.observe(this.view.element);
    const heard = (act) => (news) => {
      clearTimeout(late);
      reading.remove();
      act(news);
      this.soon();
    };
    const stop = follow(run, {
      begun: () => {
        this.story.forget();
        this.bar.heard(true);
        page.say("");
      },
      broken: (error) => {
        clearTimeout(late);
        this.bar.heard(false);
        if (error.status === 401) page.refused(error);
        else if (error.status === 404) main.replaceChildren(absent());
        else page.say(error.status ? error.message : "The server cannot be heard just now. It is tried again.");
      },
      entry: heard((entry) => this.story.hear(entry)),
      delta: heard((delta) => this.story.live(delta.run, delta)),
      state: heard((state) => (this.state = state)),
      end: heard((state) => (this.state = state)),
    });
    this.close = () => {
      clearTimeout(late);
      stop();
      clearInterval(this.bar.clock);
      sizes.disconnect();
      removeEventListener("scroll", scrolled);
    };
  }

  /** Why the last task ended, if it has. */
  get reason() {
    return this.state?.stop_reason ?? this.story.main.task?.ended?.stop_reason ?? null;
  }

  get live() {
    return ["running", "waiting", "starting"].includes(this.state?.state);
  }

  /** Whether a reader is where what is new appears. */
  get near() {
    const page = document.scrollingElement;
    return page.scrollHeight - page.scrollTop - page.clientHeight < NEAR;
  }

  /** Draw what is new, once for all that comes before the next frame. */
  soon() {
    if (this.due) return;
    this.due = true;
    const draw = () => {
      this.due = false;
      this.draw();
    };
    if (document.hidden) setTimeout(draw, 250);
    else requestAnimationFrame(draw);
  }

  draw() {
    const { main } = this.story;
    main.cut = this.state?.state === "cut off" && !main.task?.ended;
    this.view.update();
    this.bar.update();
    if (this.live) this.lived = true;
    if (this.state && !this.placed) {
      this.placed = true;
      this.following = this.live;
    }
    this.grown();
    this.announce();
  }

  /** The page is longer now, or its end is somewhere else: one who was at the end stays there. */
  grown() {
    if (this.lived && this.following) this.end();
    this.newest.hidden = !this.live || this.near;
  }

  end() {
    const page = document.scrollingElement;
    page.scrollTop = page.scrollHeight;
    this.newest.hidden = true;
  }

  /** The title of the tab, and a word for those who listen, when the state is another one. */
  announce() {
    const { main } = this.story;
    const words = main.state === "approval" ? "waits for your answer" : this.state ? standing({ ...this.state, stop_reason: this.reason }) : "";
    document.title = `${main.state === "approval" ? "● " : ""}${plainly(main.tasks[0]?.given.task ?? "", 80)} · codeact`;
    if (words && words !== this.told) {
      this.page.list.load();
      this.bar.spoken.replaceChildren(words);
      this.told = words;
    }
  }

  write() {
    this.bar.text.focus();
  }
}

/** What can be said and done, below the run. */
class Bar {
  constructor(watch) {
    this.watch = watch;
    this.text = el("textarea", { rows: 1, name: "say" });
    this.send = el("button", { type: "submit", class: "main" });
    this.stop = el("button", { type: "button", class: "plain", click: () => this.act("stop") }, "Stop");
    this.resume = el("button", { type: "button", class: "main", click: () => this.resumed() }, "Go on where it was cut off");
    this.compare = el("button", { type: "button", class: "quiet", click: () => choose(watch) }, "Compare");
    this.alert = el("p", { class: "remark failed", role: "alert" });
    this.now = el("p", { class: "facts doing" });
    this.since = el("span", { class: "quiet" });
    this.clock = setInterval(() => this.tick(), 1000);
    this.spoken = el("p", { class: "hidden", role: "status", "aria-live": "polite" });
    this.element = el("form", { class: "bar", "aria-label": "say or do something" }, this.now, this.alert, el("div", { class: "row" }, this.text, this.send, this.resume, this.stop, this.compare), this.spoken);
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.say();
    });
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.say();
      }
      if (event.key === "Escape") this.text.blur();
    });
    this.text.addEventListener("input", () => this.grow());
    this.element.hidden = true;
  }

  grow() {
    this.text.rows = Math.min(this.text.value.split("\n").length, 8);
  }

  get live() {
    return this.watch.live;
  }

  update() {
    const { state } = this.watch;
    if (!state) return;
    const cut = state.state === "cut off";
    this.element.hidden = false;
    this.text.hidden = this.send.hidden = cut;
    this.resume.hidden = this.live || !(cut || ["cancelled", "error", "paused"].includes(this.watch.reason));
    this.resume.className = cut ? "main" : "plain";
    this.stop.hidden = !this.live;
    const words = this.live ? "Say something to the model" : "Give it another task";
    this.text.placeholder = words;
    this.text.setAttribute("aria-label", words);
    this.send.replaceChildren(this.live ? "Say" : "Go on");
    this.tell();
  }

  /** Whether the server can be heard: where it cannot, nobody knows what the run does. */
  heard(whether) {
    this.deaf = !whether;
    this.tell();
  }

  /** What it does just now, since its head may be far above; and the way to what it asks. */
  tell() {
    const { main } = this.watch.story;
    const state = this.live && !this.deaf && main.task && !main.task.ended ? main.state : "";
    const told = state && `${state}${main.step?.number ?? ""}`;
    if (told === this.doing) return;
    this.doing = told;
    this.tick();
    const step = main.step?.number ? el("span", { class: "quiet" }, `step ${main.step.number}`) : null;
    const words = state === "approval" ? el("button", { type: "button", class: "quiet", click: seek }, "waits for your answer") : STATES[state];
    this.now.replaceChildren(...(state ? [el("span", { class: `state ${state}` }, words), step ?? "", this.since] : []));
  }

  /** How long it has done that: a model that does not answer looks like one that thinks. */
  tick() {
    const { main } = this.watch.story;
    const from = { asking: main.step?.ran ?? main.step?.asked, running: main.step?.running }[main.state];
    const seconds = from ? Math.floor(Date.now() / 1000 - from) : 0;
    this.since.replaceChildren(this.doing && seconds >= LONG ? duration(seconds) : "");
  }

  async say() {
    const text = this.text.value.trim();
    if (!text) return;
    if (await this.act(this.live ? "say" : "continue", this.live ? { text } : { task: text })) {
      this.text.value = "";
      this.grow();
    }
  }

  /** Go on, where calls are unknown with what somebody says of them. */
  resumed() {
    const calls = this.watch.reason === "paused" ? unknown(this.watch.story) : [];
    if (calls.length) ask(calls, (body) => this.act("resume", body));
    else this.act("resume");
  }

  async act(what, body = {}) {
    this.alert.replaceChildren();
    for (const button of [this.send, this.stop, this.resume]) button.disabled = true;
    try {
      await post(`/api/runs/${this.watch.run}/${what}`, body);
      if (what === "resume" || what === "continue") this.watch.page.again();
      return true;
    } catch (error) {
      if (error.status === 401) this.watch.page.refused(error);
      this.alert.replaceChildren(error.message);
      return false;
    } finally {
      for (const button of [this.send, this.stop, this.resume]) button.disabled = false;
    }
  }
}

function absent() {
  return el("div", { class: "absent" }, el("h1", {}, "There is no such run"), el("p", { class: "quiet" }, "The journal of this server does not have it."), el("p", {}, el("a", { href: "#/" }, "New task")));
}

/** To the first question that waits for an answer. */
export function seek() {
  const field = document.querySelector(".question button.main");
  field?.closest(".question").scrollIntoView({ block: "center" });
  field?.focus({ preventScroll: true });
}

/** Choose the run that this one is laid beside. */
function choose(watch) {
  const { list } = watch.page;
  const rows = el("ul", { class: "runs" });
  const search = el("input", { type: "search", placeholder: "Find", "aria-label": "find a run" });
  const pick = (run) => {
    made.close();
    watch.page.go(`#/compare/${watch.run}/${run.run}`);
  };
  const draw = () => {
    const found = list.found(search.value).filter((run) => run.run !== watch.run);
    rows.replaceChildren(...found.slice(0, 200).map((run) => el("li", {}, el("button", { type: "button", click: () => pick(run) }, ...described(run, standing(run))))));
  };
  search.addEventListener("input", draw);
  const made = el("dialog", { class: "choose", "aria-label": "Compare with" }, el("h2", {}, "Compare with"), search, rows, el("form", { method: "dialog" }, el("button", { class: "plain" }, "Close")));
  made.addEventListener("close", () => made.remove());
  draw();
  document.body.append(made);
  made.showModal();
}
