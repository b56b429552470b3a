// Elements that stay where nothing changed: so that what somebody has opened, marked or begun to write is still there.

/** Give an element these children, each `[key, version, make]`, in this order; only those of a new version are made. */
export function patch(parent, wanted) {
  const known = (parent.parts ??= new Map());
  const keys = new Set(wanted.map(([key]) => key));
  for (const [key, { node }] of known) {
    if (keys.has(key)) continue;
    node?.remove();
    known.delete(key);
  }
  let before = null; // the node that the next one stands behind
  for (const [key, version, make] of wanted) {
    const old = known.get(key);
    if (old && old.version === version) {
      before = old.node ?? before;
      continue;
    }
    const node = make(old?.node ?? null) || null;
    if (node !== old?.node) {
      if (old?.node && node) keepOpen(old.node, node);
      if (old?.node) old.node.remove();
      if (node && before) before.after(node);
      else if (node) parent.prepend(node);
    }
    known.set(key, { version, node });
    before = node ?? before;
  }
}

/** What was unfolded stays so, in the order that the folds come. */
function keepOpen(old, made) {
  const before = old.querySelectorAll?.("details") ?? [];
  made.querySelectorAll?.("details").forEach((one, i) => {
    if (before[i]?.open) one.open = true;
  });
  if (old.open && "open" in made) made.open = true;
}
