// Python, highlighted. highlight.js finds the words; the elements are ours, so that no text of a model becomes HTML.
import hljs from "./vendor/highlight.core.min.js";
import python from "./vendor/highlight.python.min.js";
import { block, el, seen, untrailed } from "./text.js";

const LONGEST = 20000; // characters; longer code stands as it is, folded

hljs.registerLanguage("python", python);

/** Code in its place; it is coloured when it comes near to where somebody looks. */
export function code(source, attributes = {}) {
  const text = untrailed(source);
  if (text.length > LONGEST) return block(text, { class: "code", ...attributes });
  const made = el("pre", { class: "code", role: "group", ...attributes }, el("code", {}, ...seen(text)));
  near(made, () => made.firstChild.replaceChildren(...coloured(text)));
  return made;
}

function coloured(text) {
  const found = hljs.highlight(text, { language: "python", ignoreIllegals: true });
  const walk = (node) => (typeof node === "string" ? seen(node) : [el("span", { class: names(node.scope) }, ...node.children.flatMap(walk))]);
  return found._emitter.rootNode.children.flatMap(walk);
}

function names(scope) {
  return scope ? `hl ${scope.split(".").map((word) => `hl-${word.replace(/[^\w-]/g, "")}`).join(" ")}` : null;
}

const waiting = new WeakMap();
const watch = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      waiting.get(target)?.();
      waiting.delete(target);
    }
  },
  { rootMargin: "600px" },
);

/** Do this once the element is near to what is seen. */
export function near(element, what) {
  waiting.set(element, what);
  watch.observe(element);
}
