// Pictures and files that code made: only what begins as a picture of a known kind is shown as one.
import { decoded } from "./arrays.js";
import { bytes, el, plainly } from "./text.js";

const KINDS = [
  ["image/png", /^iVBORw0KGgo/],
  ["image/jpeg", /^\/9j\//],
  ["image/gif", /^R0lGOD/],
  ["image/webp", /^UklGR.{4,6}V0VCUF|^UklGR/],
]; // an SVG is a document, and none

/** A picture of base64, with its alternative text; null where it is none that can be shown. */
export function picture(data, kind, words) {
  const [known] = KINDS.find(([name, begins]) => name === kind && begins.test(data)) ?? [];
  if (!known || !/^[A-Za-z0-9+/]*={0,2}$/.test(data)) return null;
  const made = el("img", { src: `data:${known};base64,${data}`, alt: words, loading: "lazy", decoding: "async" });
  return el("figure", { class: "picture" }, made);
}

/** A file to be saved by whoever wants it: its name, what it is, and a button. */
export function file({ name, data, media_type: kind }) {
  const size = Math.floor((data.length * 3) / 4) - (data.endsWith("==") ? 2 : data.endsWith("=") ? 1 : 0);
  const save = el("button", { type: "button", class: "quiet save" }, "Save");
  save.setAttribute("aria-label", `Save ${plainly(name)}`);
  save.addEventListener("click", () => keep(name, data));
  const shown = size < 4e6 ? picture(data, kind, plainly(name)) : null;
  return el("li", { class: "file" }, el("span", { class: "name" }, plainly(name, 120)), el("span", { class: "quiet" }, bytes(size)), save, shown);
}

/** Always as bytes, whatever type the file says it has: a browser opens nothing of it by itself. */
function keep(name, data) {
  const address = URL.createObjectURL(new Blob([decoded(data)], { type: "application/octet-stream" }));
  const link = el("a", { href: address, download: plainly(name.split("/").pop(), 120) });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
