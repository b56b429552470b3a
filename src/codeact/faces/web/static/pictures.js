// Pictures and files that code made: only what begins as a picture of a known kind is shown as one.
//
// One that is large does not stand in its entry, but is asked for: `desk.bytes(from)` gives it, where there is a server.
import { decoded } from "./arrays.js";
import { bytes, el, plainly } from "./text.js";

const KINDS = [
  ["image/png", /^iVBORw0KGgo/],
  ["image/jpeg", /^\/9j\//],
  ["image/gif", /^R0lGOD/],
  ["image/webp", /^UklGR.{4,6}V0VCUF|^UklGR/],
]; // an SVG is a document, and none
const SHOWN = 8e6; // bytes of a picture that is shown unasked
const FAR = "1000px"; // from what is seen: so far ahead a picture is asked for

/** Of which kind these bytes are a picture, if they begin as one of this kind. */
const kindOf = (kind, begins) => KINDS.find(([name, first]) => name === kind && first.test(begins))?.[0];

/** A picture of base64, with its alternative text; null where it is none that can be shown. */
export function picture(data, kind, words, size = null) {
  const known = kindOf(kind, data);
  if (!known || !/^[A-Za-z0-9+/]*={0,2}$/.test(data)) return null;
  return framed(image(words, size, `data:${known};base64,${data}`));
}

/** The same of a picture that may not stand here: it is asked for when it comes near to what is seen. */
export function pictured(one, kind, words, desk) {
  if (one.data !== undefined) return picture(one.data, kind, words, one.size);
  if (!desk.bytes || one.bytes > SHOWN || !KINDS.some(([name]) => name === kind)) return null;
  const made = framed(image(words, one.size));
  const watch = new IntersectionObserver((news) => {
    if (!news.some((one) => one.isIntersecting)) return;
    watch.disconnect();
    desk.bytes(one.from).then(
      (data) => show(made, data, kind),
      (error) => made.replaceChildren(el("figcaption", { class: "remark" }, `${words}: ${error.message}`)),
    );
  }, { rootMargin: FAR });
  watch.observe(made);
  return made;
}

function show(made, data, kind) {
  const known = kindOf(kind, btoa(String.fromCharCode(...data.subarray(0, 24))));
  if (!known) return made.replaceChildren(el("figcaption", { class: "remark" }, "A picture that cannot be shown."));
  const shown = made.querySelector("img");
  const address = URL.createObjectURL(new Blob([data], { type: known }));
  const over = () => URL.revokeObjectURL(address);
  shown.addEventListener("load", over);
  shown.addEventListener("error", over);
  shown.src = address;
}

/** `size` is its width and height, where they are known: so much room is left for it. */
function image(words, size, src = null) {
  const [width, height] = (Array.isArray(size) ? size : []).filter((side) => side > 0 && side < 1e5);
  return el("img", { src, alt: words, width: height && width, height, loading: src && "lazy", decoding: "async" });
}

const framed = (shown) => el("figure", { class: "picture" }, shown);

/** A file to be saved by whoever wants it: its name, what it is, and a button. */
export function file(one, desk) {
  const { name, data, media_type: kind } = one;
  const size = one.bytes ?? Math.floor((data.length * 3) / 4) - (data.endsWith("==") ? 2 : data.endsWith("=") ? 1 : 0);
  const failed = el("span", { class: "remark failed", role: "alert" });
  const save = el("button", { type: "button", class: "quiet save", "aria-label": `Save ${plainly(name)}` }, "Save");
  save.addEventListener("click", async () => {
    save.disabled = true;
    failed.replaceChildren();
    try {
      keep(name, data === undefined ? await desk.bytes(one.from) : decoded(data));
    } catch (error) {
      failed.replaceChildren(error.message);
    }
    save.disabled = false;
  });
  return el("li", { class: "file" }, el("span", { class: "name" }, plainly(name, 120)), el("span", { class: "quiet" }, bytes(size)), save, failed, pictured(one, kind, plainly(name), desk));
}

/** Always as bytes, whatever type the file says it has: a browser opens nothing of it by itself. */
export function keep(name, data) {
  const address = URL.createObjectURL(new Blob([data], { type: "application/octet-stream" }));
  const link = el("a", { href: address, download: plainly(name.split("/").pop(), 120) });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
