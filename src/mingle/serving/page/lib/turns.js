/** The two sides of a conversation as elements. */

import { joined, kindOf, wavFile } from "./bytes.js";
import { folded, h } from "./dom.js";
import { icon } from "./icons.js";
import { markdown } from "./markdown.js";
import { player } from "./player.js";

/** What the user asked: words, and what was attached. */
export function questionView({ text, files }) {
  return h(
    "article",
    { class: "turn user", "aria-label": "You" },
    files.length
      ? h(
          "div",
          { class: "attached" },
          files.map((file) => attachment(file)),
        )
      : null,
    text ? h("div", { class: "said" }, text) : null,
  );
}

/** A file as it is seen in a conversation; `onRemove` gives it a button to take it out. */
export function attachment(file, onRemove) {
  const address = URL.createObjectURL(file);
  const shown = {
    image: () => h("img", { src: address, alt: file.name }),
    video: () => h("video", { src: address, controls: !onRemove, "aria-label": file.name }),
    audio: () => h("div", { class: "file" }, icon("recognise"), file.name),
  }[kindOf(file)]();
  const remove =
    onRemove &&
    h("button", { type: "button", "aria-label": `Remove ${file.name}`, onclick: onRemove }, icon("close"));
  return h("figure", {}, shown, remove);
}

/** What the model answers, growing. */
export class AnswerView {
  constructor() {
    this.text = "";
    this.reasoning = "";
    this.transcript = "";
    this.runs = [];
    this.begun = performance.now();
    this.first = null;
    this.said = h("div", { class: "said caret" });
    this.thoughts = h("div");
    this.facts = h("div", { class: "facts meta" });
    this.element = h(
      "article",
      { class: "turn assistant", "aria-label": "Mingle" },
      this.thoughts,
      this.said,
      this.facts,
    );
  }

  /** Take one piece. */
  add({ text, reasoning, samples, rate, transcript, finish, usage }) {
    if (text || reasoning || samples) this.first ??= performance.now();
    this.text += text ?? "";
    this.reasoning += reasoning ?? "";
    this.transcript += transcript ?? "";
    if (samples) this.runs.push(samples);
    this.rate = rate ?? this.rate;
    this.end = finish ?? this.end;
    this.usage = usage ?? this.usage;
    this.waiting ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.waiting = null;
    this.said.replaceChildren(...markdown(this.text.trim() || (this.runs.length ? this.transcript : "")));
    if (this.reasoning.trim()) this.drawThoughts();
  }

  drawThoughts() {
    if (!this.thoughts.firstChild) {
      this.thought = h("div");
      const details = folded(icon("more"), "Thoughts", this.thought);
      details.className = "thought";
      this.thoughts.append(details);
    }
    this.thought.textContent = this.reasoning.trim();
  }

  /** All is said: a player for what was spoken, figures, a button to copy. */
  finish() {
    this.settle();
    if (!this.text.trim() && !this.runs.length) this.note("The model ended without a word.");
    const copy = h(
      "button",
      {
        type: "button",
        class: "quiet small icon",
        "aria-label": "Copy the answer",
        title: "Copy",
        onclick: () => navigator.clipboard.writeText(this.text),
      },
      icon("copy"),
    );
    this.facts.append(copy, h("span", {}, this.figures()));
  }

  stopped() {
    this.settle();
    this.facts.append("Stopped.");
  }

  failed(error, onRetry) {
    this.settle();
    const retry = h(
      "button",
      { type: "button", class: "small", onclick: onRetry },
      icon("again"),
      "Try again",
    );
    this.facts.append(h("p", { class: "notice bad", role: "alert" }, error.message), retry);
  }

  settle() {
    cancelAnimationFrame(this.waiting);
    this.draw();
    this.said.classList.remove("caret");
    if (!this.runs.length) return;
    const samples = joined(this.runs);
    this.facts.before(
      player({ samples, file: wavFile(samples, this.rate, "answer.wav"), label: "spoken answer" }),
    );
  }

  note(words) {
    this.said.replaceChildren(h("p", { class: "soft" }, words));
  }

  figures() {
    const seconds = ((this.first ?? performance.now()) - this.begun) / 1000;
    const took = (performance.now() - (this.first ?? this.begun)) / 1000;
    const tokens = this.usage?.completion_tokens;
    const speed = tokens > 1 && took > 0 ? `${((tokens - 1) / took).toFixed(1)} tokens/s` : null;
    const cut = this.end === "length" ? "cut at its longest" : null;
    return [`first after ${seconds.toFixed(2)} s`, tokens && `${tokens} tokens`, speed, cut]
      .filter(Boolean)
      .join(", ");
  }
}
