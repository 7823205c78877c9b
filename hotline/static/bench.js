// What stands beside the telephone: the step, what was sent and came back, how long it took.
"use strict";
const $ = (id) => document.getElementById(id), words = $("bench").dataset;
const asked = +new URLSearchParams(location.search).get("hurry") || 1; // for tests: prompts, not people
const pace = () => +document.querySelector("[name=pace]:checked").value; // all waiting
const speed = () => Math.max(asked, pace());
const show = (id, text) => { $(id).textContent = text; }, state = (text) => show("state", text);
const make = (tag, text, given = {}) => Object.assign(document.createElement(tag), { textContent: text, ...given });

async function ask(path, body) {
  const raw = body instanceof Blob, type = raw ? body.type.split(";")[0] || "audio/none" : "application/json";
  const answer = await fetch("/phone/" + path, body && {
    method: "POST", keepalive: !raw, body: raw ? body : JSON.stringify(body), headers: { "X-Telephone": "1", "Content-Type": type },
  });
  if (!answer.ok) throw new Error(path + " " + answer.status);
  const heard = await answer.json();
  if (heard.told) tell(heard.told);
  return heard;
}
function tell({ path, form, document: text, ms, step, waits }) {
  if (step) { show("step", step); show("waits", waits); }
  const one = make("details", "");
  one.append(
    make("summary", path + "，" + ms + words.ms, { className: "button plain" }),
    make("p", words.sent), make("pre", form), make("p", words.came), make("pre", text),
  );
  const line = make("li", "");
  line.append(one);
  $("told").append(line);
}
const passed = (text, began) => $("told").append(make("li", text + ((Date.now() - began) / 1000).toFixed(1) + words.s));
function note(text, whose = "") {
  $("heard").append(make("li", text, { className: whose }));
  if (!whose) show("words", text);
}
function clear() {
  for (const id of ["heard", "told"]) $(id).replaceChildren();
  for (const id of ["step", "waits", "words"]) show(id, "");
}
$("sooner").onclick = () => ask("sooner", {}).then(look);
$("rings").onclick = () => ask("rings", { who: $("caller").value }).then(() => state(words.willRing));
// Who holds this telephone: a volunteer's may be rung with what is new.
$("caller").onchange = () => {
  $("rings").hidden = !words.demo || !$("caller").value.startsWith("v");
  history.replaceState(null, "", "?" + new URLSearchParams({ ...Object.fromEntries(new URLSearchParams(location.search)), who: $("caller").value }));
  look();
};
if (!navigator.mediaDevices) { $("mic").hidden = true; $("capture").hidden = false; }
