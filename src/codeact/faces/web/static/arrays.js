// numpy's arrays and the columns of tables, as guest/arrays.py and guest/columns.py write them: read as far as shown.

const MOST = 10000; // values that are read of an array
const SIZES = { b: 1, i: 8, u: 8, f: 8 };

/** The bytes of base64; throws what is none. */
export function decoded(text) {
  const raw = atob(text);
  const made = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) made[i] = raw.charCodeAt(i);
  return made;
}

export function isArray(tree) {
  return tree !== null && typeof tree === "object" && "$bytes" in tree;
}

/** An .npy file: `kind`, `shape`, `count`, and its first `values`. Throws where it is none that we read. */
export function npy(body) {
  const data = decoded(typeof body === "string" ? body : body.$bytes);
  const view = new DataView(data.buffer);
  if (data[0] !== 0x93) throw new Error("not an array");
  const wide = data[6] > 1;
  const start = wide ? 12 : 10;
  const end = start + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder("latin1").decode(data.subarray(start, Math.min(end, start + 4000)));
  const descr = header.match(/'descr':\s*'([<>|=])([biufMmUS])(\d{1,4})(\[[^\]']{1,10}\])?'/);
  const shape = header.match(/'shape':\s*\(([\d,\s]*)\)/);
  if (!descr || !shape) throw new Error("not an array that is read here");
  const sides = shape[1].split(",").filter((side) => side.trim()).map(Number);
  const [, order, kind, size, unit] = descr;
  const width = kind === "U" ? 4 * size : Number(size);
  const here = Math.floor((data.length - end) / Math.max(width, 1)); // of one that is cut, the rest is elsewhere
  const all = sides.reduce((a, b) => a * b, 1);
  const count = body.bytes ? all : Math.min(all, here);
  const read = reader(kind, width, view, order !== ">", unit ?? "");
  const values = Array.from({ length: Math.min(count, here, MOST) }, (_, i) => read(end + i * width));
  return { kind: `${kind}${size}`, shape: sides, count, values };
}

function reader(kind, width, view, little, unit) {
  switch (kind) {
    case "b":
      return (at) => view.getUint8(at) !== 0;
    case "f":
      if (width === 8) return (at) => real(view.getFloat64(at, little));
      if (width === 4) return (at) => real(Number(view.getFloat32(at, little).toPrecision(7)));
      break;
    case "i":
    case "u": {
      const get = { 1: "Int8", 2: "Int16", 4: "Int32", 8: "BigInt64" }[width];
      const name = kind === "i" ? `get${get}` : `get${get?.replace("Int", "Uint")}`;
      if (get) return (at) => plain(view[name](at, little));
      break;
    }
    case "M":
      return (at) => instant(view.getBigInt64(at, little), unit);
    case "m":
      return (at) => `${view.getBigInt64(at, little)}${unit.slice(1, -1)}`;
    case "U":
      return (at) => letters(view, at, width, little);
    case "S":
      return (at) => String.fromCharCode(...new Uint8Array(view.buffer, at, Math.min(width, 200))).replaceAll("\0", "");
  }
  throw new Error(`numbers of ${width} bytes`);
}

function plain(value) {
  return typeof value === "bigint" && BigInt(Number(value)) === value && Math.abs(Number(value)) < 2 ** 53 ? Number(value) : value;
}

function real(value) {
  return Number.isFinite(value) ? value : Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

const PER_SECOND = { s: 1n, ms: 1000n, us: 1000000n, ns: 1000000000n };

function instant(ticks, unit) {
  const per = PER_SECOND[unit.slice(1, -1)];
  if (ticks === -(2n ** 63n)) return "NaT";
  if (per === undefined) return unit === "[D]" ? date(ticks * 86400n, 1n).slice(0, 10) : `${ticks}${unit}`;
  return date(ticks, per);
}

function date(ticks, per) {
  const when = new Date(Number((ticks * 1000n) / per));
  if (Number.isNaN(when.getTime())) return String(ticks);
  return when.toISOString().replace("T", " ").replace(/(\.000)?Z$/, "").replace(/ 00:00:00$/, "");
}

function letters(view, at, width, little) {
  let text = "";
  for (let i = 0; i < Math.min(width, 800); i += 4) {
    const code = view.getUint32(at + i, little);
    if (code > 0 && code <= 0x10ffff) text += String.fromCodePoint(code);
  }
  return text;
}

/** What a column holds, or an index: how many, and the first so many of them. */
class Column {
  constructor(length, at) {
    this.length = length;
    this.at = at;
  }

  *take(most) {
    for (let i = 0; i < Math.min(this.length, most); i += 1) yield this.at(i);
  }
}

/** A column by its form; throws where that is none we know. */
export function column(tree) {
  if (tree.range) {
    const [start, stop, step] = tree.range.map(Number);
    return new Column(Math.max(0, Math.ceil((stop - start) / step)), (i) => start + i * step);
  }
  if (tree.values) return column(tree.values);
  if (tree.levels) return levels(tree);
  if (tree.objects) return new Column(tree.objects.length, (i) => tree.objects[i]);
  if (tree.texts) return texts(tree.texts, tree.missing);
  if (tree.codes) {
    const codes = npy(tree.codes);
    const kinds = [...column(tree.categories).take(MOST)];
    return new Column(codes.count, (i) => (codes.values[i] < 0 ? "NaN" : kinds[codes.values[i]]));
  }
  const masked = tree.mask ? npy(tree.mask).values : [];
  const array = npy(tree.array ?? tree.masked ?? tree.moments ?? tree.ordinals);
  return new Column(array.count, (i) => (masked[i] ? "<NA>" : array.values[i]));
}

function levels(tree) {
  const named = tree.levels.map((level) => [...column(level).take(MOST)]);
  const codes = tree.codes.map((one) => npy(one));
  return new Column(codes[0].count, (i) => codes.map((one, n) => named[n][one.values[i]]).join(" · "));
}

function texts(body, missing) {
  const lengths = npy(body.lengths);
  const whole = Array.from(String(body.text).slice(0, 4 * MOST));
  const found = [];
  let at = 0;
  for (const length of lengths.values) {
    found.push(length < 0 ? (missing ?? (length === -1 ? null : "nan")) : whole.slice(at, at + length).join(""));
    at += Math.max(length, 0);
  }
  return new Column(lengths.count, (i) => found[i]);
}
