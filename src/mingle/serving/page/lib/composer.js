/** Where a question is put together: words, files, a recording, a picture from the camera. */

import { dataUrl, kindOf, toBase64 } from "./bytes.js";
import { takePicture } from "./camera.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { recordButton } from "./microphone.js";
import { pressed, toggle } from "./toggle.js";
import { attachment } from "./turns.js";

const NEEDS = { image: ["vision", "see pictures"], video: ["vision", "see films"], audio: ["audio", "hear"] };

export class Composer {
  constructor(app, { onSend, onStop }) {
    this.app = app;
    this.onSend = onSend;
    this.files = [];
    this.text = h("textarea", {
      rows: 1,
      "aria-label": "Message",
      placeholder: "Write to the model",
      onkeydown: (event) => this.key(event),
      onpaste: (event) => this.attach([...event.clipboardData.files]),
    });
    this.shelf = h("div", { class: "attached" });
    this.note = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.sendButton = h(
      "button",
      { type: "submit", class: "primary icon round", "aria-label": "Send" },
      icon("send"),
    );
    this.stopButton = h(
      "button",
      { type: "button", class: "primary icon round", "aria-label": "Stop", hidden: true, onclick: onStop },
      icon("stop"),
    );
    this.thinking = toggle("thought", "Think first", { style: "quiet" });
    this.spoken = toggle("speak", "Speak the answer", { style: "quiet", hidden: !app.has("talker") });
    this.tools = h(
      "div",
      { class: "row" },
      this.attachButton(),
      this.microphone(),
      this.camera(),
      this.thinking,
      this.spoken,
    );
    this.box = h(
      "div",
      { class: "box" },
      this.shelf,
      this.text,
      h("div", { class: "row" }, this.tools, h("span", { class: "push" }), this.stopButton, this.sendButton),
    );
    this.element = h(
      "form",
      { class: "composer", "aria-label": "Ask", onsubmit: (event) => this.submit(event) },
      this.note,
      this.box,
    );
  }

  attachButton() {
    if (!this.app.has("audio") && !this.app.has("vision")) return null;
    const input = h("input", {
      type: "file",
      multiple: true,
      accept: "image/*,audio/*,video/*",
      "aria-label": "Attach pictures, films or sound",
      onchange: () => {
        this.attach([...input.files]);
        input.value = "";
      },
    });
    return h("span", { class: "button quiet icon picker", title: "Attach" }, icon("attach"), input);
  }

  microphone() {
    if (!this.app.has("audio")) return null;
    return recordButton({
      label: "Record",
      style: "quiet",
      onFile: (file) => this.attach([file]),
      onError: (error) => this.tell(error.message),
    });
  }

  camera() {
    if (!this.app.has("vision")) return null;
    return h(
      "button",
      {
        type: "button",
        class: "quiet icon",
        "aria-label": "Take a picture",
        title: "Take a picture",
        onclick: async () => {
          const file = await takePicture().catch((error) => this.tell(error.message));
          if (file) this.attach([file]);
        },
      },
      icon("camera"),
    );
  }

  /** Add files that the model can take; of others it is said why not. */
  attach(files) {
    for (const file of files) {
      const kind = kindOf(file);
      const [part, what] = NEEDS[kind] ?? [];
      if (!kind) this.tell(`${file.name} is neither a picture nor a film nor sound.`);
      else if (!this.app.has(part)) this.tell(`${this.app.model.id} cannot ${what}: it has no ${part}.`);
      else {
        this.files.push(file);
        this.note.hidden = true;
      }
    }
    this.drawShelf();
  }

  suggest(text) {
    this.text.value = text;
    this.text.focus();
  }

  /** Whether an answer is being written: then there is a stop button in the place of send. */
  busy(now) {
    const focused = [this.sendButton, this.stopButton].includes(document.activeElement);
    this.sendButton.hidden = now;
    this.stopButton.hidden = !now;
    if (focused) (now ? this.stopButton : this.text).focus();
  }

  drawShelf() {
    this.shelf.replaceChildren(
      ...this.files.map((file) =>
        attachment(file, () => {
          this.files = this.files.filter((one) => one !== file);
          this.drawShelf();
          this.text.focus();
        }),
      ),
    );
  }

  key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.element.requestSubmit();
  }

  async submit(event) {
    event.preventDefault();
    const text = this.text.value.trim();
    const { files } = this;
    if (!text && !files.length) return;
    this.text.value = "";
    this.files = [];
    this.drawShelf();
    this.note.hidden = true;
    const content = [...(await Promise.all(files.map(part))), ...(text ? [{ type: "text", text }] : [])];
    this.onSend({ text, files, content, thinking: pressed(this.thinking), spoken: pressed(this.spoken) });
  }

  tell(words) {
    this.note.hidden = false;
    this.note.textContent = words;
  }
}

/** A file as the endpoint takes it. */
async function part(file) {
  const kind = kindOf(file);
  if (kind === "audio") {
    const data = toBase64(new Uint8Array(await file.arrayBuffer()));
    return { type: "input_audio", input_audio: { data, format: file.type.split("/")[1] } };
  }
  const type = kind === "image" ? "image_url" : "video_url";
  return { type, [type]: { url: await dataUrl(file) } };
}
