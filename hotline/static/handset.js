// A telephone that plays TwiML as a carrier does. ?hurry=20 makes every wait 20 times shorter.
"use strict";
const $ = (id) => document.getElementById(id), words = $("bench").dataset, home = words.home + "/";
const hurry = +new URLSearchParams(location.search).get("hurry") || 1;
const own = {}; // what was recorded here, to be played back
let call = null, onKey = null, onStop = null; // the call; what a key and the end of a message do now
class HungUp extends Error {}

async function ask(path, body) {
  const raw = body instanceof Blob, type = raw ? body.type.split(";")[0] : "application/json";
  const answer = await fetch("/phone/" + path, body && {
    method: "POST", body: raw ? body : JSON.stringify(body), headers: { "X-Telephone": "1", "Content-Type": type },
  });
  if (!answer.ok) throw new Error(path + " " + answer.status);
  return answer.json();
}
const send = async (mine, url, form, child) => parse((await ask("send", { sid: mine.sid, url, form, child })).document);
const since = (began) => "" + Math.max(1, Math.round((Date.now() - began) / 1000));
const parse = (text) => new DOMParser().parseFromString(text, "text/xml").documentElement;
const attr = (verb, name, otherwise) => verb.getAttribute(name) ?? otherwise;
const state = (text) => { $("state").textContent = text; };
const alive = (mine) => { if (mine.over) throw new HungUp(); };
function note(text, whose = "") {
  const line = document.createElement("li");
  line.textContent = text; line.className = whose;
  $("heard").append(line);
  if (!whose) $("words").textContent = text;
}
// Resolves after so many seconds, or at once when `mine.wake` is called (a key, the phone put down).
const wait = (mine, seconds) => new Promise((done) => {
  const timer = setTimeout(() => mine.wake(), seconds * 1000 / hurry);
  mine.wake = (why) => { clearTimeout(timer); mine.wake = () => {}; done(why); };
});
async function say(mine, text) {
  note(text);
  const voice = window.speechSynthesis && speechSynthesis.getVoices().find((v) => /^zh/i.test(v.lang));
  if (!voice || hurry > 1) return wait(mine, text.length / 4.5);
  const speech = new SpeechSynthesisUtterance(text), over = wait(mine, text.length / 2 + 5); // some never tell the end
  Object.assign(speech, { voice, lang: "zh-CN", rate: 0.9, onend: () => mine.wake(), onerror: () => mine.wake() });
  speechSynthesis.speak(speech);
  await over;
  speechSynthesis.cancel();
}
async function play(mine, url) {
  const name = url.split("/").pop().split(".")[0];
  if (own[name]) note(words.own);
  if (name === "beep") note(words.beep);
  const address = own[name] ? URL.createObjectURL(own[name]) : url.startsWith(home) && url.slice(home.length - 1);
  if (!address || hurry > 1) return wait(mine, 1);
  const sound = new Audio(address), over = wait(mine, 200);
  sound.onended = sound.onerror = () => mine.wake();
  sound.play().catch(() => mine.wake());
  await over;
  sound.pause();
}
async function speak(mine, verb) {
  await (verb.tagName === "Say" ? say(mine, verb.textContent) : play(mine, verb.textContent.trim()));
  alive(mine);
}
async function gather(mine, verb) { // "" is silence
  let key = "";
  state(words.listen);
  onKey = (pressed) => { key = pressed; mine.wake(); };
  for (const word of verb.children) if (!key) await speak(mine, word);
  if (!key) await wait(mine, hurry * attr(verb, "timeout", 5)); // people are not hurried
  onKey = null;
  alive(mine);
  return key;
}
async function record(mine, verb) { // null: nothing was said
  let sound, seconds, recorder, began, key = "";
  const chunks = [], over = wait(mine, hurry * attr(verb, "maxLength", 180));
  $("speak").hidden = false; $("speak").scrollIntoView({ block: "nearest" }); state(words.record);
  onKey = (pressed) => { if (attr(verb, "finishOnKey", "#").includes(pressed)) { key = pressed; mine.wake(); } };
  onStop = (blob, length) => { sound = blob; seconds = length; state(words.given); note(words.spoke, "own"); };
  $("quiet").onclick = () => mine.wake();
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
    if (chunks.length) { sound = new Blob(chunks, { type: chunks[0].type }); seconds = +since(began); }
  }
  if (!sound) return null;
  const { sid, url } = await ask("message", sound);
  own[sid] = sound;
  const said = { RecordingSid: sid, RecordingUrl: url, RecordingDuration: "" + seconds };
  const callback = attr(verb, "recordingStatusCallback");
  if (callback) await send(mine, callback, { ...said, RecordingStatus: "completed" });
  if (mine.over) key = "hangup";
  return key ? { ...said, Digits: key } : said;
}
// The volunteer's telephone rings: whisper, 1, talk. Returns what the carrier reports of it.
async function dial(mine, verb) {
  const whisper = attr(verb.querySelector("Number"), "url"), buttons = ["take", "press", "refuse"];
  const choose = (text, seconds, ...shown) => {
    $("volunteer-state").textContent = text;
    for (const id of buttons) { $(id).hidden = !shown.includes(id); $(id).onclick = () => mine.wake(id); }
    return wait(mine, seconds);
  };
  const refused = { DialCallStatus: "completed", DialCallDuration: "0" };
  $("volunteer").hidden = false; state(words.find);
  try {
    if (await choose(words.rings, hurry * attr(verb, "timeout", 30), "take", "refuse") !== "take") return { DialCallStatus: "no-answer" };
    if (whisper) {
      let page = await send(mine, whisper, {}, true);
      const menu = page.querySelector("Gather");
      if (menu) {
        note(words.whisper + menu.textContent);
        if (await choose(menu.textContent, hurry * attr(menu, "timeout", 8), "press", "refuse") !== "press") return refused;
        page = await send(mine, attr(menu, "action"), { Digits: "1" }, true);
      }
      if (page.querySelector("Hangup")) return refused;
    }
    const began = Date.now();
    state(words.bridged); note(words.through, "own");
    await choose(words.talking, 3600 * hurry, "refuse");
    return { ...refused, DialCallDuration: since(began) };
  } finally { $("volunteer").hidden = true; }
}
async function run(mine, page) {
  for (let verbs = [...page.children]; verbs.length;) {
    const verb = verbs.shift(), kind = verb.tagName, answer = (did) => send(mine, attr(verb, "action"), did);
    let next, key, said;
    if (kind === "Say" || kind === "Play") await speak(mine, verb);
    else if (kind === "Gather") { if ((key = await gather(mine, verb))) next = await answer({ Digits: key }); }
    else if (kind === "Record") { if ((said = await record(mine, verb))) next = await answer(said); }
    else if (kind === "Dial") next = await answer(await dial(mine, verb));
    else if (kind === "Redirect") next = await send(mine, verb.textContent.trim(), {});
    else return; // Hangup, or a verb that no carrier need know
    alive(mine);
    if (next) verbs = [...next.children];
  }
}
async function talk(begin) {
  const mine = call = { began: Date.now(), wake() {} };
  $("heard").replaceChildren(); buttons();
  try {
    const { sid, document: text } = await begin();
    mine.sid = sid;
    alive(mine);
    await run(mine, parse(text));
  } catch (error) {
    if (!(error instanceof HungUp)) { note(words.broken); console.error(error); }
  }
  if (mine.sid) await ask("ended", { sid: mine.sid, seconds: +since(mine.began) }).catch(console.error);
  call = null; $("words").textContent = ""; state(words.ended); buttons();
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
