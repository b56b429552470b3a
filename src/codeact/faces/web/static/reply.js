// A reply in parts, to be shown: words, code, thinking. What of it runs was decided elsewhere; this decides nothing.

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+-]*)/;
const TAGS = { "<execute>": "</execute>", "<code>": "</code>", "<think>": "</think>", "<thinking>": "</thinking>" };
const PYTHON = ["", "python", "py", "python3"];

/** The parts of a text, as `{"kind": "words" | "code" | "thinking", "text": ...}`; the last may be open still. */
export function parts(text) {
  const found = [];
  let open = null;
  for (const line of String(text).split(/(?<=\n)/)) {
    const bare = line.trim();
    if (open) {
      if (closes(open, bare)) {
        open.part.closed = true;
        open = null;
      } else open.part.text += line;
      continue;
    }
    const fence = line.match(FENCE);
    const tag = Object.keys(TAGS).find((one) => bare.startsWith(one));
    if (fence && PYTHON.includes(fence[2].toLowerCase())) open = { end: fence[1], part: begin(found, "code") };
    else if (tag) open = tagged(found, tag, bare);
    else if (found.length && found[found.length - 1].kind === "words") found[found.length - 1].text += line;
    else begin(found, "words").text += line;
  }
  return found;
}

function begin(found, kind) {
  found.push({ kind, text: "", closed: false });
  return found[found.length - 1];
}

function closes(open, bare) {
  if (open.end.startsWith("<")) {
    if (!bare.endsWith(open.end)) return false;
    open.part.text += bare.slice(0, -open.end.length);
    return true;
  }
  return bare.startsWith(open.end) && !bare.replaceAll(open.end[0], "");
}

function tagged(found, tag, bare) {
  const end = TAGS[tag];
  const part = begin(found, tag.startsWith("<think") ? "thinking" : "code");
  const rest = bare.slice(tag.length);
  if (!rest.endsWith(end)) {
    part.text = rest && `${rest}\n`;
    return { end, part };
  }
  part.text = rest.slice(0, -end.length);
  return null;
}

/** What stands before and behind the block that holds this code, where one does: it may hold fences of its own. */
function around(text, source) {
  const code = source?.trim();
  if (!code) return [text];
  let at = 0;
  for (const line of text.split(/(?<=\n)/)) {
    const inner = at + line.length;
    const opens = FENCE.test(line) || ["<execute>", "<code>"].includes(line.trim());
    if (opens && text.startsWith(code, inner)) {
      const rest = text.slice(inner + code.length).trimStart();
      return [text.slice(0, at), rest.slice(rest.split("\n", 1)[0].length)];
    }
    at = inner;
  }
  return [text];
}

/** What is shown of a step: its words and thinking, and the code that is being written, where none stands yet. */
export function told(item) {
  const text = item.reply ? (item.reply.text ?? "") : (item.failed?.partial ?? item.streamed.text);
  const reasoning = item.reply ? (item.reply.reasoning ?? "") : item.streamed.reasoning;
  const source = item.source ?? item.refused?.source ?? null;
  let words = "";
  let draft = "";
  let thinking = reasoning;
  for (const part of around(text, item.reply && source).flatMap(parts)) {
    if (part.kind === "thinking") thinking += part.text;
    else if (part.kind === "words") words += part.text;
    else if (source !== null && source.includes(part.text.trim())) continue;
    else if (!item.done && (source === null || !item.reply)) draft += part.text; // code may run while it is written
    else words += `\n\`\`\`\n${part.text}\n\`\`\`\n`;
  }
  return { words: words.trim(), thinking: thinking.trim(), draft };
}
