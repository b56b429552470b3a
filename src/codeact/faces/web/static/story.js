// What happened, read off a list of events: runs, their tasks, and what each is made of, in the order that it came.
//
// A story grows by `hear(entry)`, an event of the journal, and `live(run, delta)`, what passes meanwhile and may be lost.
// It knows nothing of a screen. Every part counts its changes, so that what draws it can tell what to draw again.

/** Part of a task: a step of the model's, or a line between two. */
export class Item {
  constructor(kind, at, given = {}) {
    Object.assign(this, { kind, at, changes: {}, notes: [], calls: new Map(), connections: [], ...given });
    this.streamed = { text: "", reasoning: "", stdout: "", stderr: "" };
  }

  /** Note that this part of it is another one now. */
  touch(...parts) {
    for (const part of parts) this.changes[part] = (this.changes[part] ?? 0) + 1;
  }
}

const TOKENS = ["input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens"];

/** The sum of two usages; null is what nobody knows, and stays so. */
function plus(total, usage) {
  const sum = { requests: total.requests + (usage.requests ?? 1) };
  for (const name of TOKENS) sum[name] = total[name] === null || (usage[name] ?? null) === null ? null : total[name] + usage[name];
  return sum;
}

/** What a usage costs, by the price of a million tokens; null where nobody knows. */
export function cost(price, usage) {
  const [read, wrote] = [usage.input_tokens ?? null, usage.output_tokens ?? null];
  if (!price || read === null || wrote === null) return null;
  const cached = Math.min(usage.cached_tokens ?? 0, read);
  const stored = Math.min(usage.cache_write_tokens ?? 0, read - cached);
  const each = [
    [read - cached - stored, price.input],
    [cached, price.cached ?? price.input],
    [stored, price.cache_write ?? price.input],
    [wrote, price.output],
  ];
  return each.reduce((sum, [tokens, one]) => sum + tokens * one, 0) / 1e6;
}

class Task {
  constructor(at, given) {
    Object.assign(this, { at, given, items: [], files: [], leftOut: [], ended: null, endedAt: null, steps: 0, calls: 0, rested: 0 });
    this.usage = { requests: 0, input_tokens: 0, output_tokens: 0, cached_tokens: 0, cache_write_tokens: 0 };
    this.cost = 0;
  }

  spend(usage, price) {
    this.usage = plus(this.usage, usage);
    this.cost = this.cost === null || price === null ? null : this.cost + price;
  }
}

export class Run {
  constructor(id, parent, at) {
    Object.assign(this, { id, parent, at, made: {}, level: "", python: "", tasks: [], seen: -1, last: at });
    Object.assign(this, { key: null, agent: "", waiting: "", inputs: null, replies: 0, called: [] });
  }

  get task() {
    return this.tasks[this.tasks.length - 1];
  }

  /** The step that is under way, or was the last. */
  get step() {
    return this.task?.step;
  }

  /** `asking`, `running`, `approval`, `cut` where nobody works on it, or `ended`. */
  get state() {
    if (!this.task || this.task.ended) return "ended";
    if (this.cut) return "cut";
    if (this.asks) return "approval";
    return this.step?.running ? "running" : "asking";
  }

  /** Whether somebody is asked here, or in a run below. */
  get asks() {
    return this.questions.length > 0 || this.called.some((one) => !one.task?.ended && one.asks);
  }

  /** What somebody is asked about now. */
  get questions() {
    return this.task ? this.task.items.slice(-3).flatMap((item) => [...item.calls.values()].filter((call) => call.asked && !call.given)) : [];
  }
}

export class Story {
  constructor() {
    this.runs = new Map();
    this.main = null;
  }

  /** The run of this name, made where it is not known. */
  run(id, parent, at) {
    if (!this.runs.has(id)) {
      this.runs.set(id, new Run(id, parent ?? null, at ?? 0));
      this.main ??= this.runs.get(id);
      this.runs.get(parent)?.called.push(this.runs.get(id));
    }
    return this.runs.get(id);
  }

  /** The runs that a call asked agents in. */
  below(run, key) {
    return [...this.runs.values()].filter((one) => one.parent === run.id && one.key === key);
  }

  /** An entry of a journal; one that was heard before changes nothing. */
  hear(entry) {
    const run = this.run(entry.run, entry.parent, entry.at);
    if (entry.seq <= run.seen) return run;
    run.at ||= entry.at;
    run.seen = entry.seq;
    run.before = run.last; // when something happened before this
    run.last = entry.at;
    HEARD[entry.event]?.(run, entry, this);
    if (entry.shortened && entry.event !== "TaskEnded") shortened(run, entry);
    for (let one = run; one.key && this.runs.has(one.parent); one = this.runs.get(one.parent)) owner(this, one)?.touch("calls");
    return run;
  }

  /** Forget what streamed and has no entry yet: it is told anew. */
  forget() {
    for (const run of this.runs.values()) {
      if (!run.step || run.step.done) continue;
      Object.assign(run.step.streamed, { text: "", reasoning: "", stdout: "", stderr: "" });
      run.step.touch("said", "code", "output");
    }
  }

  /** What passes meanwhile: `{"delta": "TextDelta", "text": ...}`. */
  live(id, delta) {
    const run = this.runs.get(id);
    if (!run?.step) return;
    LIVE[delta.delta]?.(run, delta);
  }
}

function owner(story, run) {
  const above = story.runs.get(run.parent);
  return above.task?.items.findLast((item) => item.calls.has(run.key));
}

/** The call that a run was begun in: the newest that is open, and asked for this if any did. */
function placed(story, run, task) {
  const above = story.runs.get(run.parent);
  if (!above || run.key) return;
  const open = above.tasks.flatMap((one) => one.items).flatMap((item) => [...item.calls.values()])
    .filter((call) => call.calledAt <= run.at && (call.returnedAt ?? Infinity) >= run.at);
  const free = open.filter((call) => !story.below(above, call.key).length);
  const same = free.find((call) => call.arguments?.task === task);
  const call = same ?? free[free.length - 1] ?? open[open.length - 1];
  if (!call) return;
  run.key = call.key;
  run.agent = call.tool;
}

function add(run, kind, entry, given) {
  run.task ?? run.tasks.push(new Task(entry.at, { task: "" }));
  const item = new Item(kind, entry.at, given);
  run.task.items.push(item);
  return item;
}

function note(run, entry, text, kind = "note") {
  const item = run.step && !run.step.done ? run.step : null;
  if (item && kind === "note") {
    item.notes.push(text);
    item.touch("notes");
  } else add(run, kind, entry, { text });
}

/** An entry that is shown only in part. */
function shortened(run, entry) {
  const step = run.step;
  if (!step) return;
  step.shortened = [...(step.shortened ?? []), entry];
  step.touch("notes");
}

/** The call of this key in the step that is under way. */
function call(run, entry) {
  const step = run.step ?? add(run, "step", entry, { number: 0 });
  if (!step.calls.has(entry.key)) step.calls.set(entry.key, { key: entry.key, tool: entry.tool, cell: entry.cell, arguments: {}, spent: [], changes: 0 });
  step.touch("calls", "asked");
  const one = step.calls.get(entry.key);
  one.changes += 1;
  return one;
}

function found(run, key) {
  const item = run.task?.items.findLast((one) => one.calls.has(key));
  item?.touch("calls", "asked");
  const one = item?.calls.get(key);
  if (one) one.changes += 1;
  return one;
}

/** Files or pictures, each with where its bytes can be had, should they not stand here. */
const parts = ({ run, seq }, all = []) => all.map((part, i) => ({ ...part, from: [run, seq, i] }));

const named = (box) => (Array.isArray(box) ? box[0] : box) ?? {};

const HEARD = {
  RunStarted(run, entry) {
    run.made = entry;
    if (entry.key) Object.assign(run, { key: entry.key, agent: entry.agent ?? "" }); // where a server knows
  },
  SandboxReady(run, entry) {
    Object.assign(run, { level: entry.level, python: entry.python });
  },
  TaskGiven(run, entry, story) {
    run.tasks.push(new Task(entry.at, entry));
    placed(story, run, entry.task);
  },
  TaskEnded(run, entry) {
    close(run, entry);
    Object.assign(run.task ?? {}, { ended: entry, endedAt: entry.at });
    run.waiting = "";
  },
  UserSaid(run, entry) {
    note(run, entry, entry.text, "said");
  },
  ModelAsked(run, entry) {
    close(run, entry);
    const kind = { plan: "plan", answer: "answer" }[entry.purpose] ?? "step";
    run.task ?? run.tasks.push(new Task(entry.at, { task: "" }));
    run.task.step = add(run, kind, entry, { number: entry.step, asked: entry.at });
    run.waiting = "";
  },
  ModelReplied(run, entry) {
    const step = run.step;
    if (!step) return;
    Object.assign(step, { reply: entry.reply, replied: entry.at, broken: entry.broken, usage: entry.reply.usage ?? {} });
    if (step.kind === "step" && step.place === undefined) {
      step.place = run.replies += 1; // as a fork counts them
      run.task.steps += 1;
    }
    step.cost = cost(run.made.price, step.usage);
    run.task.spend(step.usage, step.cost);
    step.notes.push(...(entry.reply.notes ?? []));
    if (entry.broken && entry.broken !== "was stopped there") step.notes.push(`the reply ${entry.broken}`);
    if (ENDS[entry.reply.finish]) step.notes.push(ENDS[entry.reply.finish]);
    step.touch("said", "head", "notes", "code");
    run.waiting = "";
  },
  ModelFailed(run, entry) {
    const step = run.step;
    if (!step) return;
    Object.assign(step, { failed: entry, replied: entry.at });
    step.touch("said", "notes");
  },
  PlanMade(run, entry) {
    const item = run.task?.items.findLast((one) => one.kind === "plan");
    if (item) Object.assign(item, { plan: entry.plan }).touch("said");
  },
  CodeRefused(run, entry) {
    const step = run.step;
    if (!step) return;
    step.refused = entry;
    step.touch("code", "end");
  },
  CodeStarted(run, entry) {
    const step = run.step ?? add(run, "step", entry, { number: 0 });
    Object.assign(step, { cell: entry.cell, source: entry.source, running: entry.at });
    step.touch("code", "said", "end");
  },
  CodeContinued(run, entry) {
    const step = run.step;
    if (!step) return;
    step.source = (step.source ?? "") + entry.source;
    step.touch("code");
  },
  CodeRan(run, entry) {
    const step = run.step;
    if (!step) return;
    Object.assign(step, { outcome: entry.outcome, images: parts(entry, entry.outcome.images), ran: entry.at, running: null });
    step.touch("output", "end", "head");
  },
  ApprovalAsked(run, entry) {
    Object.assign(call(run, entry), { asked: entry.at, arguments: named(entry.arguments), given: null });
  },
  ApprovalGiven(run, entry) {
    const one = found(run, entry.key);
    if (!one) return;
    Object.assign(one, { given: entry, givenAt: entry.at });
    if (run.step) run.step.waited = (run.step.waited ?? 0) + (entry.at - one.asked);
  },
  ToolCalled(run, entry) {
    const edited = entry.edited ? named(entry.edited) : null;
    Object.assign(call(run, entry), { calledAt: entry.at, arguments: named(entry.arguments), edited });
    run.task.calls += 1;
  },
  ToolReturned(run, entry) {
    const one = found(run, entry.key);
    if (one) Object.assign(one, { returned: entry.returned, returnedAt: entry.at });
  },
  Charged(run, entry) {
    found(run, entry.key)?.spent.push(entry);
    run.task?.spend(entry.usage ?? {}, entry.cost ?? null);
  },
  BudgetWarned(run, entry) {
    note(run, entry, entry, "budget");
  },
  BudgetEnded(run, entry) {
    note(run, entry, entry.why, "trouble");
  },
  Connected(run, entry) {
    run.step?.connections.push(entry);
    run.step?.touch("calls");
  },
  CallsAnswered(run, entry) {
    const step = run.step;
    if (!step) return;
    Object.assign(step, { answers: entry.answers ?? [], ran: entry.at });
    step.touch("calls", "end", "head", "output");
  },
  InterpreterLost(run, entry) {
    note(run, entry, `The interpreter was lost: ${entry.gone.why}. All variables are gone.`, "trouble");
  },
  InterpreterRestored(run, entry) {
    const then = entry.gone.restored ? `as it stood after cell ${entry.gone.restored}` : "as it stood before the first cell";
    note(run, entry, `The interpreter was lost: ${entry.gone.why}. A copy goes on, ${then}.`, "trouble");
  },
  Forked(run, entry) {
    close(run, { at: run.before });
    reopen(run, entry);
    add(run, "forked", entry, { from: entry.run_, behind: entry.at_ ?? null, said: entry.say ?? "" });
  },
  Resumed(run, entry) {
    close(run, { at: run.before });
    const order = entry.otherwise?.length ? `; another order in cell ${entry.otherwise.join(", ")}` : "";
    add(run, "note", entry, { text: `Goes on where it was cut off${entry.fresh ? ", with a fresh interpreter" : order}.` });
    reopen(run, entry);
  },
  FilesCollected(run, entry) {
    if (!run.task) return;
    run.task.files.push(...parts(entry, entry.files));
    run.task.leftOut.push(...(entry.left_out ?? []));
  },
  Compacted(run, entry) {
    note(run, entry, "Older output is left out of the prompt from here on, to make room.");
  },
  Summarised(run, entry) {
    add(run, "summary", entry, { text: entry.text });
    run.task?.spend(entry.usage ?? {}, cost(run.made.price, entry.usage ?? {}));
  },
  Noted(run, entry) {
    note(run, entry, entry.text);
  },
};

/** The task goes on; the time since something happened before is none of its own. */
function reopen(run, entry) {
  if (run.task) Object.assign(run.task, { ended: null, endedAt: null, rested: run.task.rested + (entry.at - run.before) });
}

const ENDS = {
  length: "The reply was cut off: it was too long.",
  content_filter: "The provider withheld the reply.",
  unknown: "Nobody knows why the reply ended.",
};

/** Nothing more comes to the step that is under way. */
function close(run, entry) {
  const step = run.step;
  if (!step || step.done) return;
  Object.assign(step, { done: entry.at, running: null });
  step.touch("head", "end", "said", "code");
}

const LIVE = {
  TextDelta(run, delta) {
    run.step.streamed.text += delta.text;
    run.waiting = "";
    if (!run.step.reply) run.step.touch("said", "code");
  },
  ReasoningDelta(run, delta) {
    run.step.streamed.reasoning += delta.text;
    run.waiting = "";
    if (!run.step.reply) run.step.touch("said");
  },
  OutputDelta(run, delta) {
    if (run.step.outcome) return;
    run.step.streamed[delta.stream === "stderr" ? "stderr" : "stdout"] += delta.text;
    run.step.touch("output");
  },
  Waiting(run, delta) {
    run.waiting = delta.why;
  },
  Discarded(run) {
    Object.assign(run.step.streamed, { text: "", reasoning: "" });
    run.step.touch("said", "code");
  },
};
