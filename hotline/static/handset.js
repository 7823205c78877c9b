// Plays TwiML as a carrier does. ?hurry=20 makes every wait 20 times shorter.
"use strict";
const $ = (id) => document.getElementById(id), words = $("bench").dataset, home = words.home + "/";
const hurry = +new URLSearchParams(location.search).get("hurry") || 1;
const own = {}; // recorded here, to be played back
let call = null, onKey = null, onStop = null; // what a key and a message's end do now
class HungUp extends Error {}

async function ask(path, body) {
  const raw = body instanceof Blob, type = raw ? body.type.split(";")[0] : "application/json";
  const answer = await fetch("/phone/" + path, body && {
    method: "POST", body: raw ? body : JSON.stringify(body), headers: { "X-Telephone": "1", "Content-Type": type },
  });
  if (!answer.ok) throw new Error(path + " " + answer.status);
  return answer.json();
}
const send = async (me, url, form, child) => parse((await ask("send", { sid: me.sid, url, form, child })).document);
const since = (began) => "" + Math.max(1, Math.round((Date.now() - began) / 1000));
const parse = (text) => new DOMParser().parseFromString(text, "text/xml").documentElement;
const attr = (verb, name, otherwise) => verb.getAttribute(name) ?? otherwise;
const show = (id, text) => { $(id).textContent = text; }, state = (text) => show("state", text);
const alive = (me) => { if (me.over) throw new HungUp(); };
function note(text, whose = "") {
  $("heard").append(Object.assign(document.createElement("li"), { textContent: text, className: whose }));
  if (!whose) show("words", text);
}
// Resolves after so many secs, or at once by `me.wake` (a key, the phone put down).
const wait = (me, secs) => new Promise((done) => {
  const timer = setTimeout(() => me.wake(), secs * 1000 / hurry);
  me.wake = (why) => { clearTimeout(timer); me.wake = () => {}; done(why); };
});
async function say(me, text) {
  note(text);
  const voice = window.speechSynthesis && speechSynthesis.getVoices().find((v) => /^zh/i.test(v.lang));
  if (!voice || hurry > 1) return wait(me, text.length / 4.5);
  const speech = new SpeechSynthesisUtterance(text), over = wait(me, text.length / 2 + 5); // some never end
  Object.assign(speech, { voice, lang: "zh-CN", rate: 0.9, onend: () => me.wake(), onerror: () => me.wake() });
  speechSynthesis.speak(speech);
  await over;
  speechSynthesis.cancel();
}
async function play(me, url) {
  const name = url.split("/").pop().split(".")[0];
  if (own[name]) note(words.own);
  if (name === "beep") note(words.beep);
  const address = own[name] ? URL.createObjectURL(own[name]) : url.startsWith(home) && url.slice(home.length - 1);
  if (!address || hurry > 1) return wait(me, 1);
  const sound = new Audio(address), over = wait(me, 200);
  sound.onended = sound.onerror = () => me.wake();
  sound.play().catch(() => me.wake());
  await over;
  sound.pause();
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
  do {
    before = key;
    if (key.length < most) await wait(me, key ? secs : hurry * secs); // people are not hurried
  } while (key !== before && key.length < most);
  onKey = null;
  alive(me);
  return key;
}
async function record(me, verb) { // null: nothing was said
  let sound, secs, recorder, began, key = "";
  const chunks = [], over = wait(me, hurry * attr(verb, "maxLength", 180));
  $("speak").hidden = false; state(words.record);
  onKey = (pressed) => { if (attr(verb, "finishOnKey", "#").includes(pressed)) { key = pressed; me.wake(); } };
  const given = onStop = (blob, length) => { sound = blob; secs = length; state(words.given); note(words.spoke, "own"); };
  $("quiet").onclick = () => me.wake();
  $("mic").onclick = async () => {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      recorder = new MediaRecorder(stream);
      recorder.ondataavailable = (part) => { if (part.data.size) chunks.push(part.data); };
      began = Date.now(); recorder.start(500); state(words.mic);
    } catch { state(words.noMic); }
  };
  await over;
  onKey = onStop = null; $("speak").hidden = true;
  if (recorder) {
    await new Promise((done) => { recorder.onstop = done; recorder.stop(); });
    recorder.stream.getTracks().forEach((track) => track.stop());
    if (chunks.length) given(new Blob(chunks, { type: chunks[0].type }), +since(began));
  }
  if (!sound) return null;
  const { sid, url } = await ask("message", sound);
  own[sid] = sound;
  const said = { RecordingSid: sid, RecordingUrl: url, RecordingDuration: "" + secs };
  const callback = attr(verb, "recordingStatusCallback");
  if (callback) await send(me, callback, { ...said, RecordingStatus: "completed" });
  if (me.over) key = "hangup";
  return key ? { ...said, Digits: key } : said;
}
// The volunteer's telephone: whisper, 1, talk. Returns what a carrier reports.
async function dial(me, verb) {
  const whisper = attr(verb.querySelector("Number"), "url"), buttons = ["take", "press", "refuse"];
  const choose = (text, secs, ...shown) => {
    show("volunteer-state", text);
    for (const id of buttons) { $(id).hidden = !shown.includes(id); $(id).onclick = () => me.wake(id); }
    return wait(me, secs);
  };
  const refused = { DialCallStatus: "completed", DialCallDuration: "0" };
  $("volunteer").hidden = false; state(words.find);
  try {
    if (await choose(words.rings, hurry * attr(verb, "timeout", 30), "take", "refuse") !== "take") return { DialCallStatus: "no-answer" };
    if (whisper) {
      let page = await send(me, whisper, {}, true);
      const menu = page.querySelector("Gather");
      if (menu) {
        note(words.whisper + menu.textContent);
        if (await choose(menu.textContent, hurry * attr(menu, "timeout", 8), "press", "refuse") !== "press") return refused;
        page = await send(me, attr(menu, "action"), { Digits: "1" }, true);
      }
      if (page.querySelector("Hangup")) return refused;
    }
    const began = Date.now();
    state(words.bridged); note(words.through, "own");
    await choose(words.talking, 3600 * hurry, "refuse");
    return { ...refused, DialCallDuration: since(began) };
  } finally { $("volunteer").hidden = true; }
}
async function run(me, page) {
  for (let verbs = [...page.children]; verbs.length;) {
    const verb = verbs.shift(), kind = verb.tagName, answer = (did) => send(me, attr(verb, "action"), did);
    let next, key, said;
    if (kind === "Say" || kind === "Play") await speak(me, verb);
    else if (kind === "Gather") { if ((key = await gather(me, verb))) next = await answer({ Digits: key }); }
    else if (kind === "Record") { if ((said = await record(me, verb))) next = await answer(said); }
    else if (kind === "Dial") next = await answer(await dial(me, verb));
    else if (kind === "Redirect") next = await send(me, verb.textContent.trim(), {});
    else return; // Hangup, or a verb none need know
    alive(me);
    if (next) verbs = [...next.children];
  }
}
async function talk(begin) {
  const me = call = { began: Date.now(), wake() {} };
  $("heard").replaceChildren(); buttons();
  try {
    const { sid, document: text } = await begin();
    me.sid = sid;
    alive(me);
    await run(me, parse(text));
  } catch (error) {
    if (!(error instanceof HungUp)) { note(words.broken); console.error(error); }
  }
  if (me.sid) await ask("ended", { sid: me.sid, seconds: +since(me.began) }).catch(console.error);
  call = null; show("words", ""); state(words.ended); buttons();
}
function buttons() {
  $("dial").disabled = $("caller").disabled = !!call; $("hang").disabled = !call;
  for (const key of keys) key.disabled = !call;
  if (call) $("answer").hidden = true;
}
const keys = document.querySelectorAll("[data-key]");
for (const key of keys) key.onclick = () => { if (onKey) { note(words.pressed + key.dataset.key, "own"); onKey(key.dataset.key); } };
$("dial").onclick = () => { state(words.dialling); talk(() => ask("ring", { from: $("caller").value })); };
$("answer").onclick = () => { state(words.answered); talk(() => ask("answer", { sid: $("answer").dataset.sid })); };
$("hang").onclick = () => { if (call) { call.over = true; note(words.hungUp, "own"); call.wake(); } };
const give = (sound) => onStop && onStop(sound, Math.ceil(sound.size / 32000)); // 16 kHz, 16 bit
if ($("play")) $("play").onclick = async () => give(await (await fetch("/phone/sample/" + $("sample").value)).blob());
$("file").onchange = () => give($("file").files[0]);
setInterval(async () => {
  if (call) return;
  const { sid } = await ask("waiting?number=" + encodeURIComponent($("caller").value)).catch(() => ({})); // restarted: look again
  if (call) return;
  $("answer").hidden = !sid; $("answer").dataset.sid = sid || "";
  if (sid) state(words.ringing);
}, 2000 / hurry);
