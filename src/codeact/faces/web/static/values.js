// Values as the journal writes them (guest/values.py), read for people: as Python would show them, tables as tables.
import { el, number, plainly, seen } from "./text.js";
import { column, isArray, npy } from "./arrays.js";
import { picture } from "./pictures.js";

const ROOM = 20000; // characters of a value that are shown
const WIDTH = 88;
const HUGE = 200000; // characters of a value that is not laid out
const ROWS = 50; // of a table
const COLUMNS = 30;

/** A number whose text in JSON says more than a number of JavaScript's can: `9007199254740993`, or `1.0`. */
class Exact extends Number {
  constructor(value, source) {
    super(value);
    this.source = source;
  }
}

/** JSON in which no number loses anything. */
export function parse(text) {
  if (!/\d{16}|\d\.0\b|\d[eE]/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && context?.source && String(value) !== context.source ? new Exact(value, context.source) : value,
  );
}

/** JSON again, of values in which no number lost anything. */
export function encode(tree) {
  if (tree instanceof Number) return tree.source;
  if (Array.isArray(tree)) return `[${tree.map(encode).join(", ")}]`;
  if (tree === null || typeof tree !== "object") return JSON.stringify(tree ?? null);
  return `{${Object.entries(tree).map(([name, one]) => `${JSON.stringify(name)}: ${encode(one)}`).join(", ")}}`;
}

/** The same over several lines, where one would be long; of what is huge, one line. */
export function laidOut(tree, indent = "") {
  const line = encode(tree);
  const plain = tree === null || typeof tree !== "object" || tree instanceof Number;
  if (plain || line.length + indent.length <= WIDTH - 12 || line.length > HUGE) return line;
  const deeper = `${indent}  `;
  const [open, close] = Array.isArray(tree) ? "[]" : "{}";
  const parts = Object.entries(tree).map(([name, one]) => (open === "[" ? "" : `${JSON.stringify(name)}: `) + laidOut(one, deeper));
  return `${open}\n${deeper}${parts.join(`,\n${deeper}`)}\n${indent}${close}`;
}

/** What stands in the box that values are written in, `[tree]`; undefined where there is none. */
export function unboxed(box) {
  return Array.isArray(box) && box.length === 1 ? box[0] : undefined;
}

/** Tag and body of a tagged value, such as `{"$tuple": [...]}`; nothing of a plain one. */
function tagged(tree) {
  if (tree === null || typeof tree !== "object" || Array.isArray(tree) || tree instanceof Number) return [];
  const keys = Object.keys(tree);
  return keys[0]?.startsWith("$") && (keys.length === 1 || (keys.length === 2 && keys[1] === "bytes")) ? [keys[0], tree[keys[0]]] : [];
}

/** A text as Python writes it. */
function quoted(text) {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inner = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\t", "\\t").replaceAll("\r", "\\r");
  return mark + inner.replaceAll(mark, `\\${mark}`) + mark;
}

const two = (value) => String(value).padStart(2, "0");

function delta([days, seconds, micros]) {
  const parts = Object.entries({ days, seconds, microseconds: micros }).filter(([, value]) => value);
  return `timedelta(${parts.map(([name, value]) => `${name}=${value}`).join(", ") || "0"})`;
}

const SCALARS = {
  $int: (body) => (/^-?0x[0-9a-f]{1,4000}$/.test(body) ? String(body[0] === "-" ? -BigInt(body.slice(1)) : BigInt(body)) : String(body)),
  $float: (body) => String(body),
  $bytes: (body, size) => `bytes of ${number(size ?? Math.floor((String(body).length * 3) / 4))}`,
  $datetime: (body) => `datetime(${quoted(String(body[0]))}${body.length > 2 ? `, ${zone(body.slice(2))}` : ""})`,
  $date: (body) => `date(${quoted(String(body))})`,
  $time: (body) => `time(${quoted(String(body[0]))})`,
  $timedelta: delta,
  $decimal: (body) => `Decimal(${quoted(String(body))})`,
  $complex: (body) => `(${body[0]}${String(body[1]).startsWith("-") ? "" : "+"}${body[1]}j)`,
  $missing: (body) => String(body),
  $image: () => "a picture",
};

function zone([key, name]) {
  if (typeof key === "string") return key;
  const minutes = key[0] * 1440 + Math.round(key[1] / 60);
  const sign = minutes < 0 ? "-" : "+";
  return `${sign}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}${name ? ` ${name}` : ""}`;
}

/** A value as Python shows it, on one line or, where that is too long, on several. */
export function repr(tree, room = ROOM) {
  const budget = { left: room };
  const text = written(tree, 0, budget);
  return budget.left < 0 ? `${text.slice(0, room)} …` : text;
}

function written(tree, indent, budget) {
  if (budget.left < 0) return "";
  const [tag, body] = tagged(tree);
  if (tag === undefined && tree !== null && typeof tree === "object" && !(tree instanceof Number)) {
    if (Array.isArray(tree)) return items("[", tree, "]", indent, budget);
    return pairs(Object.entries(tree), indent, budget);
  }
  if (tag === "$tuple") return items("(", body, body.length === 1 ? ",)" : ")", indent, budget);
  if (tag === "$set" || tag === "$frozenset") {
    const set = body.length ? items("{", body, "}", indent, budget) : "set()";
    return tag === "$set" ? set : `frozenset(${body.length ? set : ""})`;
  }
  if (tag === "$dict") return pairs(body, indent, budget);
  const text = tag === undefined ? plain(tree) : other(tag, body, tree.bytes);
  budget.left -= text.length;
  return text;
}

function plain(tree) {
  if (tree === null || tree === undefined) return "None";
  if (tree === true) return "True";
  if (tree === false) return "False";
  if (tree instanceof Number) return tree.source;
  return typeof tree === "string" ? quoted(tree) : String(tree);
}

function other(tag, body, size) {
  try {
    if (tag in SCALARS) return SCALARS[tag](body, size);
    if (tag === "$array") return said(npy(body));
    if (tag === "$frame") return `DataFrame of ${number(column(body.index.values ?? body.index).length)} rows and ${number(body.data.length)} columns`;
    if (tag === "$series") return `Series of ${number(column(body.data).length)} values`;
  } catch {
    // what cannot be read is named
  }
  return `<${tag.slice(1)}>`;
}

function said(array) {
  const few = array.values.slice(0, 100).map(plain).join(", ");
  return `array of ${array.kind}, shape (${array.shape.join(", ")}): ${few}${array.count > 100 ? ", …" : ""}`;
}

function items(open, list, close, indent, budget) {
  return laid(open, list, close, indent, budget, (one) => written(one, indent + 1, budget));
}

function pairs(list, indent, budget) {
  return laid("{", list, "}", indent, budget, ([key, one]) => `${written(key, indent + 1, budget)}: ${written(one, indent + 1, budget)}`);
}

function laid(open, list, close, indent, budget, each) {
  const parts = [];
  for (const one of list) {
    if (budget.left < 0) break;
    budget.left -= 2;
    parts.push(each(one));
  }
  const line = open + parts.join(", ") + close;
  if (indent + line.length <= WIDTH && !line.includes("\n")) return line;
  return `${open}${parts.join(`,\n${" ".repeat(indent + 1)}`)}${close}`;
}

/** A value drawn: a table as a table, a picture as a picture, the rest as text. */
export function drawn(tree) {
  const [tag, body] = tagged(tree);
  try {
    if (tag === "$frame") return frame(body);
    if (tag === "$series") return frame({ index: body.index, columns: { values: { objects: [body.name] } }, data: [body.data] });
    if (tag === "$image") return (body.bytes ? null : picture(body.$bytes, "image/png", "a picture")) ?? el("p", {}, "a picture that cannot be shown");
    if (isRows(tree)) return rows(tree);
  } catch {
    // a table that cannot be read is shown as what it is
  }
  return el("pre", { class: "value" }, ...seen(repr(tree)));
}

function isRows(tree) {
  if (!Array.isArray(tree) || tree.length < 2) return false;
  const keys = (one) => (one && typeof one === "object" && !Array.isArray(one) && tagged(one)[0] === undefined ? Object.keys(one).join("\n") : "");
  const first = keys(tree[0]);
  return first !== "" && tree[0] instanceof Number === false && tree.slice(0, ROWS).every((one) => keys(one) === first);
}

function rows(list) {
  const names = Object.keys(list[0]).slice(0, COLUMNS);
  return table(names, list.slice(0, ROWS).map((one) => [null, ...names.map((name) => one[name])]), list.length, Object.keys(list[0]).length);
}

function frame(body) {
  const labels = column(body.index);
  const names = [...column(body.columns).take(COLUMNS)];
  const data = body.data.slice(0, COLUMNS).map((one) => [...column(one).take(ROWS)]);
  const shown = [...labels.take(ROWS)].map((label, i) => [label, ...data.map((one) => one[i])]);
  return table(names, shown, labels.length, body.data.length);
}

/** A table: names of the columns, and rows that begin with their label, null where they have none. */
export function table(names, shown, height, width, caption = "") {
  const labelled = shown.some(([label]) => label !== null);
  const words = (value) => (typeof value === "string" ? value : plainly(repr(value, 300), 300));
  const isNumber = (value) => typeof value === "number" || value instanceof Number;
  const head = el("tr", {}, labelled ? el("td", {}) : null, names.map((name) => el("th", { scope: "col" }, ...seen(words(name)))));
  const body = shown.map(([label, ...row]) =>
    el("tr", {}, labelled ? el("th", { scope: "row" }, ...seen(words(label))) : null, row.map((one) => el("td", { class: isNumber(one) ? "right" : null }, ...seen(words(one))))),
  );
  const rest = [height > shown.length ? `${number(height)} rows` : "", width > names.length ? `${number(width)} columns` : ""].filter(Boolean);
  const told = caption || (rest.length ? `The first of ${rest.join(" and ")}.` : "");
  const made = el("table", { class: "data" }, told ? el("caption", {}, ...seen(told)) : null, el("thead", {}, head), el("tbody", {}, body));
  return el("div", { class: "table" }, made);
}
