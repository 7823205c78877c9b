// A telephone that plays TwiML as a carrier does. ?hurry=20 makes every wait 20 times shorter.
"use strict";
const $ = (id) => document.getElementById(id), meta = (n) => document.querySelector(`meta[name=${n}]`).content;
const home = meta("public-url"), hurry = +new URLSearchParams(location.search).get("hurry") || 1;
const own = {}; // recordings made here, by identifier, to be played back
let call = null; // {sid, began, over}
let onKey = null, onStop = null; // what a key, the end of a message does now
class HungUp extends Error {}

async function ask(path, body) {
  const raw = body instanceof Blob;
  const answer = await fetch("/phone/" + path, body === undefined ? {} : {
    method: "POST", body: raw ? body : JSON.stringify(body),
    headers: { "X-CSRFToken": meta("csrf-token"), "Content-Type": raw ? body.type : "application/json" },
  });
  if (!answer.ok) throw new Error(path + " " + answer.status);
  return answer.json();
}
const alive = (mine) => { if (mine.over) throw new HungUp(); };
const state = (words) => { $("state").textContent = words; };
function note(words, whose) {
  const line = document.createElement("li");
  line.textContent = words; line.className = whose || "";
  $("heard").append(line);
  line.scrollIntoView({ block: "nearest" });
}
// Waits; a key where one is asked for, or hanging up, ends it early.
function wait(mine, seconds) {
  return new Promise((done) => {
    const timer = setTimeout(end, seconds * 1000 / hurry);
    const was = mine.wake;
    function end() { clearTimeout(timer); mine.wake = was; done(); if (was) was(); }
    mine.wake = end;
  });
}
async function say(mine, words) {
  note(words);
  const voice = window.speechSynthesis && speechSynthesis.getVoices().find((v) => /^zh/i.test(v.lang));
  if (!voice || hurry > 1) return wait(mine, words.length / 4.5);
  const speech = new SpeechSynthesisUtterance(words);
  speech.voice = voice; speech.lang = "zh-CN"; speech.rate = 0.9;
  speech.onend = speech.onerror = () => mine.wake && mine.wake();
  speechSynthesis.speak(speech);
  await wait(mine, words.length / 2 + 5); // some browsers never tell the end
  speechSynthesis.cancel();
}
async function play(mine, url) {
  const name = url.split("/").pop().split(".")[0], mineOwn = own[name];
  if (mineOwn) note("（放您刚才说的话）");
  else if (name === "beep") note("嘀——");
  const address = mineOwn ? URL.createObjectURL(mineOwn) : url.startsWith(home + "/") ? url.slice(home.length) : null;
  if (!address || hurry > 1) return wait(mine, 1);
  const sound = new Audio(address);
  sound.onended = sound.onerror = () => mine.wake && mine.wake();
  sound.play().catch(() => mine.wake && mine.wake());
  await wait(mine, 200);
  sound.pause();
}
async function speak(mine, verbs) {
  for (const verb of verbs) {
    alive(mine);
    if (verb.tagName === "Say") await say(mine, verb.textContent);
    if (verb.tagName === "Play") await play(mine, verb.textContent.trim());
  }
  alive(mine);
}
// Says what stands in a Gather and waits for its keys; "" is silence.
async function gather(mine, verb) {
  let keys = "";
  const most = +(verb.getAttribute("numDigits") || 1);
  onKey = (key) => { keys += key; note("按了 " + key, "own"); mine.pressed = true; if (mine.wake) mine.wake(); };
  for (const word of verb.children) { if (keys) break; await speak(mine, [word]); }
  while (keys.length < most) {
    const before = keys.length;
    await wait(mine, +(verb.getAttribute("timeout") || 5));
    alive(mine);
    if (keys.length === before) break;
  }
  onKey = null;
  return keys.slice(0, most);
}
async function record(mine, verb) {
  let sound = null, recorder = null, stream = null, began = performance.now(), seconds = 0, key = "";
  const chunks = [];
  $("speak").hidden = false; state("在录音，请说话。");
  const kept = await new Promise((done) => {
    const stop = (how) => done(how);
    const timer = setTimeout(() => stop("silence"), +(verb.getAttribute("maxLength") || 180) * 1000);
    mine.wake = () => { clearTimeout(timer); stop("hangup"); };
    onKey = (pressed) => { if ((verb.getAttribute("finishOnKey") ?? "1234567890*#").includes(pressed)) { key = pressed; note("按了 " + key, "own"); stop("key"); } };
    onStop = { silence: () => stop("silence"), give: (blob, length) => { sound = blob; seconds = length; state("放好了。可以挂断了。"); note("（说了一段话）", "own"); } };
    $("mic").onclick = async () => {
      try { stream = await navigator.mediaDevices.getUserMedia({ audio: true }); } catch { return state("用不了话筒，请放现成的录音。"); }
      const type = ["audio/webm;codecs=opus", "audio/mp4"].find((t) => MediaRecorder.isTypeSupported(t));
      recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
      recorder.ondataavailable = (e) => { if (e.data.size) chunks.push(e.data); };
      began = performance.now(); recorder.start(500); state("话筒开了，请说。");
    };
  });
  onKey = onStop = mine.wake = null; $("speak").hidden = true;
  if (recorder) {
    await new Promise((done) => { recorder.onstop = done; recorder.stop(); });
    stream.getTracks().forEach((t) => t.stop());
    if (chunks.length) { sound = new Blob(chunks, { type: chunks[0].type.split(";")[0] }); seconds = (performance.now() - began) / 1000; }
  }
  if (!sound) return null; // empty: a carrier goes on with the next verb
  const { sid, url } = await ask("message", sound);
  own[sid] = sound;
  const said = { RecordingSid: sid, RecordingUrl: url, RecordingDuration: "" + Math.max(1, Math.round(seconds)) };
  const callback = verb.getAttribute("recordingStatusCallback");
  if (callback) await send(mine, callback, { ...said, RecordingStatus: "completed" });
  return { ...said, ...(kept === "hangup" ? { Digits: "hangup" } : key ? { Digits: key } : {}) };
}
// The volunteer's telephone rings; whisper, 1, talk. Returns what Dial reports.
async function dial(mine, verb) {
  const number = verb.querySelector("Number"), whisper = number && number.getAttribute("url");
  const status = (word) => { $("volunteer-state").textContent = word; };
  const choice = (seconds) => new Promise((done) => {
    const timer = setTimeout(() => done("nothing"), seconds * 1000 / hurry);
    const end = (word) => { clearTimeout(timer); done(word); };
    $("take").onclick = () => end("take"); $("press").onclick = () => end("press"); $("refuse").onclick = () => end("refuse");
    mine.wake = () => end("gone");
  });
  const show = (...ids) => ["take", "press", "refuse"].forEach((id) => { $(id).hidden = !ids.includes(id); });
  $("volunteer").hidden = false; status("响了。"); show("take", "refuse"); state("在帮您找人，请不要挂。");
  try {
    const picked = await choice(+(verb.getAttribute("timeout") || 30));
    if (picked !== "take") return { DialCallStatus: "no-answer" };
    if (whisper) {
      let page = await send(mine, whisper, {}, true);
      const menu = page.querySelector("Gather");
      if (menu) {
        status(menu.textContent); note("志愿者听到：" + menu.textContent); show("press", "refuse");
        if (await choice(+(menu.getAttribute("timeout") || 8)) !== "press") return { DialCallStatus: "completed", DialCallDuration: "0" };
        page = await send(mine, menu.getAttribute("action"), { Digits: "1" }, true);
      }
      if (page.querySelector("Hangup")) return { DialCallStatus: "completed", DialCallDuration: "0" };
    }
    const began = Date.now();
    status("接通了，在说话。"); state("接通了，在跟志愿者说话。"); note("（接通了）", "own"); show("refuse");
    await choice(3600 * hurry);
    return { DialCallStatus: "completed", DialCallDuration: "" + Math.max(1, Math.round((Date.now() - began) / 1000)) };
  } finally { $("volunteer").hidden = true; mine.wake = null; }
}
const parse = (text) => new DOMParser().parseFromString(text, "text/xml").documentElement;
const send = async (mine, url, form, child) => parse((await ask("send", { sid: mine.sid, url, form, child })).document);

async function run(mine, page) {
  for (let verbs = [...page.children]; verbs.length;) {
    const verb = verbs.shift(), action = verb.getAttribute("action");
    let next = null;
    if (verb.tagName === "Say" || verb.tagName === "Play") await speak(mine, [verb]);
    else if (verb.tagName === "Gather") {
      state("请听。要按键就按。");
      const keys = await gather(mine, verb);
      if (keys) next = await send(mine, action, { Digits: keys });
    } else if (verb.tagName === "Record") {
      const said = await record(mine, verb);
      if (said) next = await send(mine, action, said);
    } else if (verb.tagName === "Dial") next = await send(mine, action, await dial(mine, verb));
    else if (verb.tagName === "Redirect") next = await send(mine, verb.textContent.trim(), {});
    else return; // Hangup, or a verb that no carrier need know
    alive(mine);
    if (next) verbs = [...next.children];
  }
}
async function talk(start) {
  const mine = call = { sid: null, began: Date.now(), over: false };
  $("heard").replaceChildren(); buttons();
  try {
    const begun = await start();
    mine.sid = begun.sid;
    await run(mine, parse(begun.document));
  } catch (error) {
    if (!(error instanceof HungUp)) { note("电话断了。"); console.error(error); }
  }
  mine.over = true;
  if (mine.sid) await ask("ended", { sid: mine.sid, seconds: Math.round((Date.now() - mine.began) / 1000) });
  if (call === mine) call = null;
  state("挂了。"); buttons();
}
function buttons() {
  $("dial").disabled = $("caller").disabled = !!call; $("hang").disabled = !call;
  document.querySelectorAll("[data-key]").forEach((key) => { key.disabled = !call; });
  if (call) $("answer").hidden = true;
}
$("dial").onclick = () => { state("在拨。"); talk(() => ask("ring", { from: $("caller").value })); };
$("hang").onclick = () => { if (call) { call.over = true; note("（挂断）", "own"); if (call.wake) call.wake(); } };
$("answer").onclick = () => { const sid = $("answer").dataset.sid; state("接了。"); talk(() => ask("answer", { sid })); };
document.querySelectorAll("[data-key]").forEach((key) => { key.onclick = () => onKey && onKey(key.dataset.key); });
$("quiet").onclick = () => onStop && onStop.silence();
const give = (blob) => onStop && onStop.give(blob, Math.max(1, blob.size / 16000));
if ($("play")) $("play").onclick = async () => give(await (await fetch("/phone/sample/" + encodeURIComponent($("sample").value))).blob());
$("file").onchange = () => { const file = $("file").files[0]; if (file) give(file); };
setInterval(async () => {
  if (call) return;
  try {
    const { sid } = await ask("waiting?number=" + encodeURIComponent($("caller").value));
    if (call) return;
    $("answer").hidden = !sid; $("answer").dataset.sid = sid || "";
    if (sid) state("电话响了。");
  } catch { /* the house is being restarted: look again */ }
}, 2000 / hurry);
