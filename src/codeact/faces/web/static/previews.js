// The preview of a table that a cell gave, as guest/display.py writes it, read as a table where that is sure.
import { block, el, seen } from "./text.js";
import { table } from "./values.js";

const HEAD = /^DataFrame of ([\d,]+) rows and ([\d,]+) columns \((.*)\)$/;

/** The value of a cell, drawn. */
export function preview(text) {
  const [head, ...lines] = text.split("\n");
  const found = head.length < 4000 && head.match(HEAD);
  const read = found && lines.length < 200 && columns(lines, names(found[3]), found[3].endsWith(" more"));
  if (!found || !read) return block(text, { class: "value" });
  const [height, width] = [found[1], found[2]].map((one) => Number(one.replaceAll(",", "")));
  return table(read.names, read.rows, height, width, `${found[1]} rows, ${found[2]} columns`);
}

function names(kinds) {
  return kinds.split(", ").map((one) => one.slice(0, one.lastIndexOf(": "))).filter((name) => name !== "");
}

/** Columns that are set to the right of where their names end; nothing where the lines do not stand so. */
function columns(lines, known, others) {
  const size = lines.findLastIndex((line) => /^\[[\d,]+ rows x [\d,]+ columns\]$/.test(line));
  const rows = (size < 0 ? lines : lines.slice(0, size)).filter((line) => line).map((line) => Array.from(line));
  if (rows.length < 2) return null;
  const ends = edges(rows[0].join(""), known, others);
  if (!ends) return null;
  const shown = [];
  for (const row of rows.slice(1)) {
    const cells = [];
    let start = label(rows, ends[0].start);
    cells.push(row.slice(0, start).join("").trim());
    for (const { end } of ends) {
      if (row.length > end && row[end] !== " ") return null;
      cells.push(number(row.slice(start, end).join("").trim()));
      start = end;
    }
    shown.push(cells);
  }
  return { names: ends.map(({ name }) => name), rows: shown };
}

/** Where each name ends in the first line, in order; `...` stands for columns that are left out.
 *
 * Where there are `others` than those that are known, they stand behind it, two blanks apart.
 */
function edges(line, known, others) {
  const found = [];
  let at = 0;
  const rest = [...known];
  while ((rest.length || others) && line.slice(at).trim()) {
    const next = line.slice(at).trimStart();
    const start = line.length - next.length;
    const named = next.startsWith("... ") ? "..." : rest.find((one) => next.startsWith(one) && (next.length === one.length || next[one.length] === " "));
    const name = named ?? (others && found.some((one) => one.name === "...") ? next.split("  ", 1)[0].trimEnd() : undefined);
    if (name === undefined) return null;
    if (rest.includes(name)) rest.splice(0, rest.indexOf(name) + 1);
    found.push({ name, start: Array.from(line.slice(0, start)).length, end: Array.from(line.slice(0, start + name.length)).length });
    at = start + name.length;
  }
  return found.length && !line.slice(at).trim() ? found : null;
}

/** How far the labels of the rows reach: to the last column that is blank in all of them before the first value. */
function label(rows, start) {
  let width = 0;
  for (const row of rows.slice(1)) {
    const text = row.join("");
    const first = text.match(/^(.*?\S)(?:\s{2,}|$)/);
    width = Math.max(width, first ? Array.from(first[1]).length : 0);
  }
  return Math.min(width, start);
}

function number(text) {
  return /^-?\d+(\.\d+)?$/.test(text) ? Object.assign(new Number(text), { source: text }) : text;
}

/** What a value is called where there is no room for it. */
export function oneLine(text, room = 120) {
  const line = text.split("\n", 1)[0];
  const cut = line.length > room || line.length < text.length;
  return el("span", {}, ...seen(cut ? `${line.slice(0, room)} …` : line));
}
