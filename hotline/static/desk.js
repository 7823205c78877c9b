"use strict";
// Comforts: without them all works by plain forms.

for (const player of document.querySelectorAll(".player")) {
  const sound = player.querySelector("audio"), bar = player.querySelector(".row"), said = player.querySelector("p");
  const [play, back, slow] = bar.querySelectorAll("button");
  const whole = play.textContent;
  sound.controls = false;
  sound.hidden = true;
  bar.hidden = false;
  play.onclick = () => (sound.paused ? sound.play().catch(() => { said.hidden = false; }) : sound.pause());
  back.onclick = () => { sound.currentTime = Math.max(0, sound.currentTime - 5); };
  slow.onclick = () => {
    const slower = sound.playbackRate === 1;
    sound.playbackRate = slower ? 0.75 : 1;
    slow.textContent = slower ? slow.dataset.usual : slow.dataset.slower;
  };
  sound.onplay = () => { said.hidden = true; play.textContent = play.dataset.pause; };
  sound.onpause = () => { play.textContent = sound.ended ? whole : play.dataset.on; };
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.onclick = () => print();
}

const news = document.querySelector("#news");
if (news) setInterval(async () => {
  const said = await fetch(news.dataset.ask), text = said.redirected || !said.ok ? "" : await said.text();
  news.textContent = text;
  news.hidden = !text;
}, 60000);

// A draft: typed and not yet kept, by person, form and field, in this tab only.
const drafts = {
  prefix: `draft ${document.body.dataset.person} `,
  key: (field) => `${drafts.prefix}${new URL(field.form.action).pathname} ${field.form.querySelector("[name=act]")?.value || ""} ${field.name}`,
  read: (key) => JSON.parse(sessionStorage.getItem(key) || "null"),
  write: (key, draft) => sessionStorage.setItem(key, JSON.stringify(draft)),
};
if (document.body.dataset.person) {
  const refused = document.querySelector("[role=alert]");
  for (const key of Object.keys(sessionStorage)) {
    if (!key.startsWith(drafts.prefix)) continue;
    const draft = drafts.read(key);
    if (draft.sent && !refused) sessionStorage.removeItem(key); // it was kept
    else if (draft.sent) drafts.write(key, { ...draft, sent: false });
  }
  for (const field of document.querySelectorAll("main form[method=post] :is(textarea, input:not([type]))")) {
    const key = drafts.key(field), base = field.defaultValue, draft = drafts.read(key);
    if (draft?.text === base) sessionStorage.removeItem(key);
    else if (draft) {
      if (draft.base === base) field.value = draft.text;
      else { // somebody else wrote meanwhile: theirs in the field, one's own above it
        const note = document.createElement("p");
        note.className = "note";
        note.textContent = document.body.dataset.draft + draft.text;
        field.before(note);
      }
      field.closest("details")?.setAttribute("open", "");
    }
    field.oninput = field.onblur = () => {
      if (field.value === base) sessionStorage.removeItem(key);
      else drafts.write(key, { base, text: field.value });
    };
    field.form.addEventListener("submit", () => {
      const kept = drafts.read(key);
      if (kept) drafts.write(key, { ...kept, sent: true });
    });
  }
}
