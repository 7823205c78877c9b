// Begins a walk by Tab: answers how many stops there are; walkEnds() answers what was wrong with it.
() => {
  const shown = (node) => node.checkVisibility({ visibilityProperty: true });
  const groups = new Set();
  const stops = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, audio[controls]")].filter((node) => {
    if (!shown(node) || node.disabled || node.tabIndex < 0) return false;
    if (node.type !== "radio") return true;
    const first = !groups.has(node.name);
    groups.add(node.name); // one stop a group
    return first;
  });
  const name = (node) => `<${node.localName}> ${(node.textContent || node.name || "").trim().slice(0, 20)}`;
  const walked = [], complaints = [];
  document.addEventListener("focusin", ({ target }) => {
    const rings = [target, target.closest("label") || target].map((node) => getComputedStyle(node));
    if (!rings.some((ring) => ring.outlineStyle !== "none" && parseFloat(ring.outlineWidth) >= 3)) complaints.push(`no ring: ${name(target)}`);
    const box = target.getBoundingClientRect();
    if (target.matches(".skip") && box.height < 60) complaints.push("the skip link is low");
    walked.push(target);
  });
  document.activeElement?.blur();
  window.walkEnds = () => {
    const key = (node) => (node.type === "radio" ? node.name : node);
    const seen = new Set(walked.map(key));
    for (const stop of stops) if (!seen.has(key(stop))) complaints.push(`not reached by Tab: ${name(stop)}`);
    for (let i = 1; i < walked.length; i++)
      if (!(walked[i - 1].compareDocumentPosition(walked[i]) & Node.DOCUMENT_POSITION_FOLLOWING)) complaints.push(`out of order: ${name(walked[i])}`);
    return complaints;
  };
  return stops.length;
}
