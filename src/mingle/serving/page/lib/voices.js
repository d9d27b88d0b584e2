/** The voices of the server: a list to choose from, and a form that adds one by cloning. */

import { call, formOf } from "./api.js";
import { check, field, h } from "./dom.js";
import { FileField } from "./drop.js";
import { icon } from "./icons.js";
import { recordButton } from "./microphone.js";

const CONSENT = "The person who speaks in the recording agreed to be imitated.";

export class VoiceList {
  constructor() {
    this.voices = [];
    this.select = h("select", { onchange: () => this.showRemoval() });
    this.remove = h(
      "button",
      { type: "button", class: "quiet small", hidden: true, onclick: () => this.forget() },
      icon("bin"),
      "Delete this voice",
    );
    this.note = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.element = h("div", { class: "field" }, field("Voice", this.select), this.remove, this.note);
  }

  /** The name of the chosen voice; undefined is the model's own. */
  get chosen() {
    return this.select.value || undefined;
  }

  /** Ask the server for its voices; `name` is chosen then. */
  async refresh(name = this.select.value) {
    await this.tell(async () => {
      this.voices = (await (await call("v1/audio/voices")).json()).data;
      const options = this.voices.map((voice) => h("option", { value: voice.name }, voice.name));
      this.select.replaceChildren(h("option", { value: "" }, "The model's own"), ...options);
      this.select.value = name;
      this.showRemoval();
    });
  }

  async forget() {
    await this.tell(async () => {
      await call(`v1/audio/voices/${encodeURIComponent(this.select.value)}`, { method: "DELETE" });
      await this.refresh("");
    });
  }

  async tell(work) {
    this.note.hidden = true;
    await work().catch((error) => {
      this.note.hidden = false;
      this.note.textContent = error.message;
    });
  }

  showRemoval() {
    const voice = this.voices.find(({ name }) => name === this.select.value);
    this.remove.hidden = !voice || voice.preset;
  }
}

/** Clone a voice: a recording, what it says, a name, and the speaker's consent. */
export function cloningForm(app, voices) {
  const sample = new FileField("audio", "Recording of 1 to 60 seconds, one speaker");
  const record = recordButton({
    label: "Record instead",
    style: "small",
    onFile: (file) => sample.set(file),
    onError: tell,
  });
  const said = h("textarea", { rows: 2 });
  const name = h("input", { maxlength: 64, autocomplete: "off" });
  const consent = check(CONSENT);
  const note = h("p", { class: "notice", role: "status", hidden: true });
  const add = h("button", { type: "submit" }, icon("fresh"), "Add the voice");

  function tell(error) {
    note.hidden = false;
    note.classList.toggle("bad", error instanceof Error);
    note.textContent = error.message ?? error;
  }

  async function send() {
    if (!consent.box.checked)
      throw new Error("A voice is cloned only with the consent of the person it belongs to.");
    if (!name.value.trim()) throw new Error("Give the voice a name.");
    const form = formOf({
      name: name.value.trim(),
      consent: CONSENT,
      audio_sample: sample.wanted,
      ref_text: said.value.trim(),
    });
    await call("v1/audio/voices", { form });
    await voices.refresh(name.value.trim());
    tell(`${name.value.trim()} was added and chosen.`);
  }

  const form = h(
    "form",
    {
      class: "inside",
      novalidate: true,
      onsubmit: async (event) => {
        event.preventDefault();
        add.disabled = true;
        await send().catch(tell);
        add.disabled = false;
      },
    },
    sample.element,
    h("div", {}, record),
    field("What is said in it", said, "Optional; the clone is closer with it."),
    field("Name", name),
    consent.element,
    h("div", {}, add),
    note,
  );
  return h("details", { class: "cloning" }, h("summary", {}, icon("more"), "Clone a voice"), form);
}
