// Text from a model, a tool or a guest, made fit to be read: nothing hidden in it, and nothing of it ever HTML.
//
// All that these pages show is built here, of elements and text nodes. The characters are those of core/untrusted.py.

const UNSEEN =
  "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e" +
    "\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\u{d800}-\\u{dfff}\\u{e0000}-\\u{e0fff}]";
const STACKED = "[\\p{Mn}\\p{Me}]"; // marks that are set above and below one letter
const STACK = 8; // of them that a letter may have
const HIDDEN = new RegExp(UNSEEN, "gu");
const ODD = new RegExp(`(?:${UNSEEN})+|${STACKED}{${STACK + 1},}`, "gu");
const MARK = new RegExp(`^${STACKED}`, "u");
const RUN = 40; // characters that cannot be seen, in a row, that are written out
const SPANS = 2000; // of them in one text that are elements of their own
const MOST = 60000; // characters of a text that stand where nobody can fold it
const LINES = 40; // of a text that are shown before somebody asks for more
const CHARACTERS = 8000;

/** An element with these attributes and children; a child that is null or false is left out, a string is text. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(key, value);
    else if (key in made && typeof made[key] === "boolean") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function escape(character) {
  const code = character.codePointAt(0);
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
}

/** Characters in a row that cannot be seen, or cannot be read, in characters that can. */
function written(odd) {
  if (MARK.test(odd)) return `${odd.slice(0, STACK)} … ${number(odd.length - STACK)} more marks `;
  const few = Array.from(odd.slice(0, 2 * RUN)).slice(0, RUN);
  const left = odd.length - few.join("").length;
  return few.map(escape).join("") + (left ? ` … ${number(left)} more ` : "");
}

/** How many characters of a text cannot be seen. */
export function unseen(text) {
  return String(text).replaceAll("\r\n", "\n").match(HIDDEN)?.length ?? 0;
}

/** The text as nodes, with what cannot be seen written out as Python would escape it. Of a long one the beginning. */
export function seen(text, most = MOST) {
  const whole = String(text);
  const plain = whole.slice(0, most).replaceAll("\r\n", "\n");
  const nodes = [];
  let at = 0;
  for (const found of plain.matchAll(ODD)) {
    if (nodes.length > 2 * SPANS) break;
    nodes.push(plain.slice(at, found.index));
    nodes.push(el("span", { class: "unseen", title: "characters that cannot be seen" }, written(found[0])));
    at = found.index + found[0].length;
  }
  nodes.push(plain.slice(at).replace(ODD, written));
  if (whole.length > most) nodes.push(el("span", { class: "quiet" }, ` … ${number(whole.length - most)} more characters`));
  return nodes;
}

/** The same as a plain string, where no elements can stand: titles, names, labels. */
export function plainly(text, room = 200) {
  const line = String(text).slice(0, 4 * room).replace(ODD, (found) => (/^\s+$/.test(found) ? " " : written(found)));
  const joined = line.split(/\s+/).join(" ").trim();
  return joined.length <= room ? joined : `${joined.slice(0, room - 1)}…`;
}

/** Preformatted text; of a long one the beginning, and a button that shows the rest. */
export function block(text, attributes = {}, lines = LINES) {
  const whole = untrailed(text);
  const made = el("pre", { role: attributes["aria-label"] ? "group" : null, ...attributes });
  const short = head(whole, lines);
  if (short.length === whole.length) {
    made.append(...seen(whole, Infinity));
    return made;
  }
  const hidden = whole.slice(short.length).trim();
  const count = hidden.split("\n").length;
  const what = count > 1 ? `${number(count)} more lines` : `${number(hidden.length)} more characters`;
  const more = el("button", { type: "button", class: "quiet more" }, what);
  more.addEventListener("click", () => {
    made.replaceChildren(...seen(whole, Infinity));
    more.remove();
    made.tabIndex = -1;
    made.focus();
  });
  made.append(...seen(short));
  return el("div", { class: "folded" }, made, more);
}

/** The text without the ends of lines at its end. A pattern would take the square of their number. */
export function untrailed(text) {
  const whole = String(text);
  let end = whole.length;
  while (end > 0 && whole[end - 1] === "\n") end -= 1;
  return whole.slice(0, end);
}

/** Text that still comes: of a long one the end, and how much came before it. */
export function latest(text, attributes = {}, lines = LINES) {
  const whole = untrailed(text);
  let start = whole.length;
  for (let count = 0; count < lines && start >= 0; count += 1) start = whole.lastIndexOf("\n", start - 1);
  const from = Math.max(start + 1, whole.length - CHARACTERS, 0);
  const before = start < 0 && from === 0 ? "" : whole.slice(0, from);
  const made = el("pre", attributes, ...seen(whole.slice(from)));
  if (!before) return made;
  const rows = before.split("\n").length - 1;
  return el("div", { class: "folded" }, el("p", { class: "remark" }, rows ? `${count(rows, "line")} before` : `${count(before.length, "character")} before`), made);
}

function head(text, lines) {
  let end = 0;
  for (let count = 0; count < lines && end >= 0; count += 1) end = text.indexOf("\n", end + 1);
  const cut = end < 0 || text.length - end < 200 ? text.length : end;
  return text.length <= CHARACTERS ? text.slice(0, cut) : text.slice(0, Math.min(cut, CHARACTERS));
}

/** A folded part: a summary line, and what is behind it, made when it is first opened. */
export function fold(summary, make, attributes = {}) {
  const made = el("details", attributes, el("summary", {}, summary));
  const open = () => made.children.length > 1 || made.append(...[make()].flat().filter(Boolean));
  if (made.open) open();
  made.addEventListener("toggle", () => made.open && open());
  return made;
}

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 }); // made once: a page has thousands of numbers

export function number(value) {
  return WHOLE.format(Math.round(value));
}

/** `a step`, `3 steps`. */
export function count(value, noun) {
  return `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** A stretch of time: `40 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`. */
export function duration(seconds) {
  if (!(seconds >= 0)) return "";
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1).replace(".0", "")} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const parts = hours ? [[hours, "h"], [minutes, "min"]] : [[minutes, "min"], [rest, "s"]];
  return parts.filter(([value]) => value).map(([value, unit]) => `${value} ${unit}`).join(" ");
}

/** A number of bytes: `512 bytes`, `12.3 kB`. */
export function bytes(size) {
  for (const [unit, of] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (size >= of) return `${(size / of).toFixed(1).replace(/\.0$/, "")} ${unit}`;
  }
  return count(size, "byte");
}

/** A limit of bytes, as limits are written: `256 MiB`. */
export function binary(size) {
  for (const [unit, of] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (size >= of) return `${Number((size / of).toFixed(1))} ${unit}`;
  }
  return count(size, "byte");
}

/** What something cost, in the currency of the prices. */
export function money(amount) {
  if (amount === 0) return "0";
  return amount >= 1 ? amount.toFixed(2) : amount.toPrecision(2).replace(/e-(\d+)$/, "e-$1");
}

/** A moment, as this person's clock shows it. */
export function moment(at) {
  const when = new Date(at * 1000);
  const today = new Date().toDateString() === when.toDateString();
  const day = today ? "" : `${when.toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" })}, `;
  return day + when.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}
