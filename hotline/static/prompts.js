"use strict";
// Records into the form's own file field: what is sent is what a chosen file would be.
const form = document.querySelector("#record"), box = document.querySelector("#mic"), says = document.querySelector("#mic-says");
const [start, keep] = box.querySelectorAll("button"), heard = box.querySelector("audio"), begin = start.textContent;
let recorder = null;
box.hidden = !(navigator.mediaDevices && window.MediaRecorder && window.DataTransfer);
start.onclick = async () => {
  if (recorder) { recorder.stop(); return; }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true }), chunks = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = (part) => chunks.push(part.data);
    recorder.onstop = () => {
      for (const track of stream.getTracks()) track.stop();
      const type = recorder.mimeType.split(";")[0], given = new DataTransfer();
      const file = new File(chunks, "take." + (type.includes("mp4") ? "m4a" : "webm"), { type });
      given.items.add(file);
      form.elements.sound.files = given.files;
      form.elements.from.value = "browser";
      heard.src = URL.createObjectURL(file);
      heard.hidden = keep.hidden = false;
      says.textContent = says.dataset.done;
      start.textContent = begin;
      recorder = null;
    };
    recorder.start();
    heard.hidden = keep.hidden = true;
    says.textContent = says.dataset.on;
    start.textContent = start.dataset.stop;
  } catch {
    recorder = null;
    says.textContent = form.dataset.refused;
  }
};
form.elements.sound.onchange = () => { form.elements.from.value = "file"; };
