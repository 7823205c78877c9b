// What a page is measured for, in one go; answers a list of complaints. Run once a (page, width, text).
async (given) => {
  const complaints = [];
  const root = document.documentElement;
  root.className = given.letters;
  const name = (node) => `<${node.localName}${node.id ? ` id=${node.id}` : ""}> ${(node.textContent || node.name || "").trim().slice(0, 20)}`;
  const shown = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest(".unseen, .skip:not(:focus)");

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode;
    if (!text.data.trim() || !shown(text.parentElement)) continue;
    const size = parseFloat(getComputedStyle(text.parentElement).fontSize);
    if (size < 20) complaints.push(`text of ${size} px: ${name(text.parentElement)}`);
    const line = parseFloat(getComputedStyle(text.parentElement).lineHeight);
    if (line < size * 1.5 - 0.5) complaints.push(`line of ${line} px for ${size}: ${name(text.parentElement)}`);
  }

  const pressed = (node) => (node.matches("[type=radio], [type=checkbox]") && node.closest("label")) || node;
  const controls = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, audio[controls]")]
    .filter(shown).map(pressed);
  const boxes = controls.map((node) => node.getBoundingClientRect());
  controls.forEach((node, i) => {
    const box = boxes[i];
    if (box.width < 59.5 || box.height < 59.5)
      complaints.push(`control of ${Math.round(box.width)}×${Math.round(box.height)}: ${name(node)}`);
    for (let j = i + 1; j < boxes.length; j++) {
      const other = boxes[j];
      const across = Math.max(box.left - other.right, other.left - box.right);
      const down = Math.max(box.top - other.bottom, other.top - box.bottom);
      if (Math.max(across, down) < 7.5) complaints.push(`closer than 8 px: ${name(node)} and ${name(controls[j])}`);
    }
  });

  const wide = () => {
    if (root.scrollWidth <= root.clientWidth) return;
    const out = [...document.body.querySelectorAll("*")].find((node) => shown(node) && node.getBoundingClientRect().right > root.clientWidth + 1);
    complaints.push(`wider than the screen (${root.scrollWidth}): ${out ? name(out) : "?"}`);
  };
  wide();
  const spaced = new CSSStyleSheet(); // WCAG 1.4.12; a constructed sheet, because the policy refuses an inline one
  spaced.replaceSync("* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-bottom: 2em !important }");
  document.adoptedStyleSheets = [spaced];
  wide();
  document.adoptedStyleSheets = [];

  const loaded = performance.getEntriesByType("resource").filter(({ name }) => new URL(name).pathname.endsWith(".js"));
  const bytes = loaded.reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0);
  if (bytes > 12288) complaints.push(`${bytes} bytes of scripts`);

  if (given.axe) {
    // Most of axe's time is contrast: larger letters have the same colours and a laxer limit.
    const contrast = { enabled: !given.letters };
    const found = await axe.run(document, {
      resultTypes: ["violations"],
      preload: false, // nothing plays by itself here, and no sheet comes from elsewhere
      runOnly: ["wcag2a", "wcag2aa", "wcag2aaa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      rules: { "color-contrast": contrast, "color-contrast-enhanced": contrast, "target-size": { enabled: true } },
    });
    for (const each of found.violations) complaints.push(`axe ${each.id}: ${each.nodes.map((n) => n.html.slice(0, 90)).join(" | ")}`);
  }
  return complaints;
}
