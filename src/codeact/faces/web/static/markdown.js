// A little Markdown, of a model's words: headings, paragraphs, lists, quotes, tables, blocks of code; bold, italic, code.
//
// What is written here may be meant to hurt: no pattern takes more than the square of a part that is bounded. A link is its
// label and its address as text: nothing here can be followed, and nothing is ever loaded.
import { block, el, seen } from "./text.js";

const INLINE = new RegExp(
  [
    "(?<ticks>`+)(?<code>[^`]|[^`].*?[^`])\\k<ticks>(?!`)",
    "(?<picture>!?)\\[(?<label>[^\\]\\n]{0,500})\\]\\((?<address>[^)\\s]{1,2000})(?:\\s+\"[^\"\\n]*\")?\\)",
    "\\*\\*(?<bold>\\S(?:[^\\n]*?\\S)?)\\*\\*",
    "(?<![\\w*])\\*(?<italic>[^\\s*](?:[^*\\n]*[^\\s*])?)\\*(?![\\w*])",
    "(?<![\\w_])_(?<slanted>[^\\s_](?:[^_\\n]*[^\\s_])?)_(?![\\w_])",
  ].join("|"),
  "gs",
);
const LONGEST = 60000; // characters; what is longer is shown as it is
const MARKED = 4000; // characters of a part in which marks are looked for

/** The nodes of a text in Markdown. */
export function markdown(text) {
  const whole = String(text);
  if (whole.length > LONGEST) return [block(whole, { class: "plain" })];
  const lines = whole.replaceAll("\r\n", "\n").split("\n");
  const nodes = [];
  for (let at = 0; at < lines.length; ) {
    const [node, next] = part(lines, at);
    if (node) nodes.push(node);
    at = next;
  }
  return nodes;
}

function part(lines, at) {
  const line = lines[at];
  if (!line.trim()) return [null, at + 1];
  const fence = line.match(/^ {0,3}(`{3,}|~{3,})/);
  if (fence) return fenced(lines, at, fence[1]);
  const title = line.match(/^ {0,3}(#{1,6})[ \t](.*)$/);
  if (title) return [el("h4", { class: `level${title[1].length}` }, ...inline(title[2].trim())), at + 1];
  if (/^(-{3,}|\*{3,}|_{3,})$/.test(line.replaceAll(" ", ""))) return [el("hr"), at + 1];
  if (/^ {0,3}>/.test(line)) return quoted(lines, at);
  if (isTable(lines, at)) return table(lines, at);
  if (ITEM.test(line)) return list(lines, at);
  return paragraph(lines, at);
}

function isTable(lines, at) {
  const rule = lines[at + 1] ?? "";
  return lines[at].includes("|") && /^[ :|-]+$/.test(rule) && rule.includes("|") && rule.includes("-");
}

function fenced(lines, at, mark) {
  const end = lines.findIndex((line, place) => place > at && line.trim().startsWith(mark) && !line.trim().slice(mark.length).replaceAll(mark[0], ""));
  const stop = end < 0 ? lines.length : end;
  return [el("pre", { class: "example" }, ...seen(lines.slice(at + 1, stop).join("\n"))), stop + 1];
}

function quoted(lines, at) {
  let end = at;
  while (end < lines.length && /^ {0,3}>/.test(lines[end])) end += 1;
  const inner = lines.slice(at, end).map((line) => line.replace(/^ {0,3}> ?/, ""));
  return [el("blockquote", {}, ...paragraphs(inner)), end];
}

function paragraphs(lines) {
  const parts = lines.join("\n").split(/\n\s*\n/);
  return parts.filter((one) => one.trim()).map((one) => el("p", {}, ...inline(one)));
}

function cells(line) {
  return line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function table(lines, at) {
  const heads = cells(lines[at]);
  const sides = cells(lines[at + 1]).map((mark) => (/^:.*:$/.test(mark) ? "centre" : mark.endsWith(":") ? "right" : null));
  const rows = [];
  let end = at + 2;
  for (; end < lines.length && lines[end].includes("|") && lines[end].trim(); end += 1) rows.push(cells(lines[end]));
  const row = (name, given) => el("tr", {}, heads.map((_, i) => el(name, { class: sides[i] }, ...inline(given[i] ?? ""))));
  const made = el("table", {}, el("thead", {}, row("th", heads)), el("tbody", {}, rows.map((given) => row("td", given))));
  return [el("div", { class: "table" }, made), end];
}

const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;

/** A list, as deep as its lines are indented. */
function list(lines, at) {
  const first = lines[at].match(ITEM);
  const indent = first[1].length;
  const ordered = /\d/.test(first[2]);
  const made = el(ordered ? "ol" : "ul", ordered ? { start: parseInt(first[2], 10) } : {});
  let end = at;
  while (end < lines.length) {
    const item = lines[end].match(ITEM);
    const last = made.lastElementChild;
    if (item && item[1].length > indent + 1 && last) {
      const [inner, next] = list(lines, end);
      last.append(inner);
      end = next;
    } else if (item && item[1].length >= indent && /\d/.test(item[2]) === ordered) {
      made.append(el("li", {}, ...inline(item[3])));
      end += 1;
    } else if (!item && last && /^\s+\S/.test(lines[end])) {
      last.append(" ", ...inline(lines[end].trim()));
      end += 1;
    } else break;
  }
  return [made, end];
}

function paragraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !/^ {0,3}(`{3,}|~{3,}|#{1,6}\s|>)/.test(lines[end]) && !ITEM.test(lines[end]) && !isTable(lines, end)) end += 1;
  return [el("p", {}, ...inline(lines.slice(at, end).join("\n"))), end];
}

function inline(text, depth = 0) {
  if (text.length > MARKED) return seen(text);
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(...seen(text.slice(at, found.index)), ...marked(found.groups, depth));
    at = found.index + found[0].length;
  }
  nodes.push(...seen(text.slice(at)));
  return nodes;
}

function marked(found, depth) {
  if (found.code !== undefined) return [el("code", {}, ...seen(found.code))];
  if (found.address !== undefined) {
    const address = el("span", { class: "address" }, ...seen(found.address));
    return [el("span", { class: "link" }, found.picture ? "picture, not loaded: " : "", ...seen(found.label), " (", address, ")")];
  }
  const inner = found.bold ?? found.italic ?? found.slanted;
  return [el(found.bold === undefined ? "em" : "strong", {}, ...(depth < 3 ? inline(inner, depth + 1) : seen(inner)))];
}
