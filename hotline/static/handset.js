// A telephone: plays TwiML as a carrier does, rings and is rung.
"use strict";
const home = words.home + "/", LOOK_SECONDS = 0.5;
let call = null, onKey = null, onSound = null; // what a key and a recording do now
class HungUp extends Error {}

const since = (began) => Math.max(1, Math.round((Date.now() - began) / 1000));
const parse = (text) => new DOMParser().parseFromString(text, "text/xml").documentElement;
const attr = (verb, name, otherwise) => verb.getAttribute(name) ?? otherwise;
const alive = (me) => { if (me.over) throw new HungUp(); };
async function send(me, url, form) {
  const heard = await ask("send", { sid: me.sid, url, form });
  me.bridged = heard.bridged;
  return parse(heard.document);
}
// Resolves after so many secs, or at once by `me.wake` (a key, the phone put down).
const wait = (me, secs, rate = speed()) => new Promise((done) => {
  const timer = setTimeout(() => me.wake(), secs * 1000 / rate);
  me.wake = (why) => { clearTimeout(timer); me.wake = () => {}; done(why); };
});
async function sounds(me, address) { // whether it could be heard
  const sound = new Audio(address), over = wait(me, 200, 1);
  let done = false, heard = true;
  const fails = () => { if (!done) { heard = false; me.wake(); } };
  sound.onended = () => me.wake();
  sound.onerror = fails;
  sound.play().catch(fails);
  await over;
  done = true;
  sound.pause();
  return heard;
}
// The house's own voice, else the browser's, else the time it takes to read.
async function say(me, text) {
  note(text);
  if (speed() > 1) return wait(me, text.length / 4.5);
  const read = words.reads && await fetch("/phone/say?text=" + encodeURIComponent(text));
  alive(me);
  if (read && read.ok && await sounds(me, URL.createObjectURL(await read.blob()))) return;
  alive(me);
  const voice = window.speechSynthesis && speechSynthesis.getVoices().find((v) => /^zh/i.test(v.lang));
  if (!voice) return wait(me, text.length / 4.5);
  const speech = new SpeechSynthesisUtterance(text), over = wait(me, text.length / 2 + 5); // some never end
  Object.assign(speech, { voice, lang: "zh-CN", rate: 0.9, onend: () => me.wake(), onerror: () => me.wake() });
  speechSynthesis.speak(speech);
  await over;
  speechSynthesis.cancel();
}
async function play(me, url) {
  const name = url.split("/").pop().split(".")[0], began = Date.now();
  if (url.includes("/own/")) note(words.own);
  if (name === "beep") note(words.beep);
  if (speed() > 1 || !url.startsWith(home)) await wait(me, 1);
  else await sounds(me, url.slice(home.length - 1));
  if (/second/.test(name)) passed(words.still, began);
}
async function speak(me, verb) {
  await (verb.tagName === "Say" ? say(me, verb.textContent) : play(me, verb.textContent.trim()));
  alive(me);
}
async function gather(me, verb) { // "" is silence; a PIN is several keys
  const most = attr(verb, "numDigits", 1), secs = attr(verb, "timeout", 5);
  let key = "", before;
  state(words.listen);
  onKey = (pressed) => { if (key.length < most) key += pressed; me.wake(); };
  for (const word of verb.children) if (!key) await speak(me, word);
  const began = Date.now();
  do {
    before = key;
    if (key.length < most) await wait(me, secs, key ? speed() : pace());
  } while (key !== before && key.length < most);
  onKey = null;
  alive(me);
  if (!key) passed(words.noKey, began);
  return key;
}
async function record(me, verb) { // null: nothing was said
  let said, recorder, key = "";
  const chunks = [], over = wait(me, attr(verb, "maxLength", 180), pace()), began = Date.now();
  $("speak").hidden = false;
  state(words.record);
  onKey = (pressed) => { if (attr(verb, "finishOnKey", "#").includes(pressed)) { key = pressed; me.wake(); } };
  onSound = async (sound) => {
    const kept = await ask("message", sound);
    if (kept.seconds) { said = kept; note(words.spoke + kept.seconds + words.s, "own"); }
    state(kept.seconds ? words.given : words.noSound);
  };
  $("quiet").onclick = () => me.wake();
  $("mic").onclick = async () => {
    try {
      recorder = new MediaRecorder(await navigator.mediaDevices.getUserMedia({ audio: true }));
      recorder.ondataavailable = (part) => { if (part.data.size) chunks.push(part.data); };
      recorder.start(500);
      state(words.mic);
    } catch { state(words.noMic); }
  };
  await over;
  passed(words.recorded, began);
  $("speak").hidden = true;
  if (recorder) {
    await new Promise((done) => { recorder.onstop = done; recorder.stop(); });
    recorder.stream.getTracks().forEach((track) => track.stop());
    if (chunks.length) await onSound(new Blob(chunks, { type: chunks[0].type }));
  }
  onKey = onSound = null;
  if (!said) return null;
  const form = { RecordingSid: said.sid, RecordingUrl: said.url, RecordingDuration: said.seconds };
  const callback = attr(verb, "recordingStatusCallback");
  if (callback) await send(me, callback, { ...form, RecordingStatus: "completed" });
  if (me.over) key = "hangup";
  return key ? { ...form, Digits: key } : form;
}
// Another telephone is rung for this call, or this one was for another: till it is over.
async function connected(me, sid) {
  for (let said; ;) {
    const leg = await ask("leg?sid=" + sid);
    if (leg.stands === "over") return leg.form;
    if (leg.stands !== said) { said = leg.stands; state(words[said]); note(words[said], "own"); }
    await wait(me, LOOK_SECONDS, 1);
    alive(me);
  }
}
async function run(me, page) {
  for (let verbs = [...page.children]; verbs.length;) {
    const verb = verbs.shift(), kind = verb.tagName, answer = (did) => send(me, attr(verb, "action"), did);
    let next, key, said;
    if (kind === "Say" || kind === "Play") await speak(me, verb);
    else if (kind === "Gather") { if ((key = await gather(me, verb))) next = await answer({ Digits: key }); }
    else if (kind === "Record") { if ((said = await record(me, verb))) next = await answer(said); }
    else if (kind === "Dial") next = await answer(await connected(me, (await ask("dial", { sid: me.sid })).sid));
    else if (kind === "Redirect") next = await send(me, verb.textContent.trim(), {});
    else return; // Hangup, or a verb none need know
    alive(me);
    if (next) verbs = [...next.children];
  }
  if (me.bridged) await connected(me, me.sid);
}
async function talk(begin) {
  const me = call = { began: Date.now(), wake() {} };
  clear();
  buttons();
  try {
    const heard = await begin();
    Object.assign(me, { sid: heard.sid, bridged: heard.bridged });
    alive(me);
    await run(me, parse(heard.document));
  } catch (error) {
    if (!(error instanceof HungUp)) { note(words.broken); console.error(error); }
  }
  if (me.sid) await ask("ended", { sid: me.sid, seconds: since(me.began) }).catch(console.error);
  call = null;
  show("words", "");
  state(words.ended);
  buttons();
}
function buttons() {
  $("dial").disabled = $("caller").disabled = $("form").disabled = !!call;
  $("hang").disabled = !call;
  for (const key of keys) key.disabled = !call;
  if (call) $("ringing").hidden = true;
}
async function look() {
  if (call) return;
  const { sid, due } = await ask("waiting?who=" + $("caller").value).catch(() => ({})); // restarted: look again
  show("due", due || "");
  $("ahead").hidden = !due;
  if (call) return;
  if (sid && $("ringing").hidden) state(words.ringing);
  if (!sid && !$("ringing").hidden) state(words.stopped);
  $("ringing").hidden = !sid;
  $("ringing").dataset.sid = sid || "";
}
addEventListener("pagehide", () => { if (call && call.sid) ask("ended", { sid: call.sid, seconds: since(call.began) }); });
const keys = document.querySelectorAll("[data-key]"), rung = () => $("ringing").dataset.sid;
for (const key of keys) key.onclick = () => { if (onKey) { note(words.pressed + key.dataset.key, "own"); onKey(key.dataset.key); } };
for (const button of document.querySelectorAll("[data-refuse]")) button.onclick = () => ask("ended", { sid: rung(), status: button.dataset.refuse }).then(look);
$("dial").onclick = () => { state(words.dialling); talk(() => ask("ring", { who: $("caller").value, form: $("form").value })); };
$("answer").onclick = () => { const sid = rung(); state(words.answered); talk(() => ask("answer", { sid })); };
$("hang").onclick = () => { if (call) { call.over = true; note(words.hungUp, "own"); call.wake(); } };
const give = (sound) => onSound && sound && onSound(sound);
if ($("play")) $("play").onclick = async () => give(await (await fetch("/phone/sample/" + $("sample").value)).blob());
for (const id of ["file", "shot"]) $(id).onchange = () => { give($(id).files[0]); $(id).value = ""; };
$("caller").onchange();
setInterval(look, 2000 / speed());
if (window.speechSynthesis) speechSynthesis.getVoices(); // they come late
