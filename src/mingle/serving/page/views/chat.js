/** Chat: a conversation with words, pictures, films and sound; remembered while the page is open. */

import { h } from "../lib/dom.js";
import { takesDrops } from "../lib/drop.js";
import { icon } from "../lib/icons.js";
import { Composer } from "../lib/composer.js";
import { answerStream } from "../lib/answer.js";
import { AnswerView, questionView } from "../lib/turns.js";
import { Playback } from "../lib/playback.js";

const NEAR_END = 80; // pixels: whoever reads further up is not pulled down

export const chat = {
  id: "chat",
  title: "Chat",
  line: "",
  icon: "chat",
  hue: "words",
  needs: ["thinker"],

  build(app) {
    return new Conversation(app);
  },
};

class Conversation {
  constructor(app) {
    this.app = app;
    this.messages = [];
    this.last = Promise.resolve();
    this.turns = h("div", { class: "turns" });
    this.log = h("div", {
      class: "log",
      role: "log",
      "aria-label": "Conversation",
      "aria-live": "off",
      tabindex: 0,
    });
    this.composer = new Composer(app, {
      onSend: (question) => this.ask(question),
      onStop: () => this.stop(),
    });
    const fresh = h(
      "button",
      { type: "button", class: "small", onclick: () => this.reset() },
      icon("fresh"),
      "New chat",
    );
    this.element = h(
      "section",
      { class: "view chat" },
      h("header", {}, h("h1", { tabindex: -1 }, "Chat"), fresh),
      this.log,
      this.composer.element,
    );
    this.composer.tools.append(
      h(
        "button",
        {
          type: "button",
          class: "quiet icon fresh",
          "aria-label": "New chat",
          title: "New chat",
          onclick: () => this.reset(),
        },
        icon("fresh"),
      ),
    );
    takesDrops(this.element, (files) => this.composer.attach(files), this.composer.box);
    this.reset();
  }

  opened() {
    const typing = matchMedia("(pointer: fine)").matches; // on a phone a keyboard would pop up
    if (typing) this.composer.text.focus({ preventScroll: true });
  }

  receive({ picture }) {
    this.composer.attach([picture]);
  }

  reset() {
    this.after(() => {
      this.messages = [];
      this.turns.replaceChildren();
      this.log.replaceChildren(welcome(this.app, (text) => this.composer.suggest(text)));
    });
  }

  /** Stop writing and speaking. */
  stop() {
    this.work?.abort();
    this.playback?.stop();
  }

  ask(question) {
    this.after(() => this.answer(question));
  }

  /** Do it when what is being written has been stopped and remembered. */
  after(step) {
    this.stop();
    this.last = this.last.then(step);
  }

  async answer(question) {
    if (!this.turns.isConnected) this.log.replaceChildren(this.turns);
    const before = this.messages.length;
    this.messages.push({ role: "user", content: question.content });
    const view = new AnswerView();
    this.turns.append(questionView(question), view.element);
    this.follow(true);
    this.work = new AbortController();
    this.busy(true);
    this.app.announce("Answering");
    if (question.spoken) this.playback = await freshPlayback(this.playback);
    try {
      await this.write(view, question, this.work.signal);
    } catch (error) {
      if (error.name === "AbortError") view.stopped();
      else view.failed(error, () => this.again(question, view, before));
    }
    this.remember(view);
    this.busy(false);
    this.follow();
  }

  busy(now) {
    this.composer.busy(now);
    this.log.setAttribute("aria-busy", String(now));
  }

  async write(view, { thinking, spoken }, signal) {
    const asked = { model: this.app.model.id, messages: this.messages, thinking, spoken };
    for await (const piece of answerStream(asked, signal)) {
      view.add(piece);
      if (piece.samples) this.playback.push(piece.samples, piece.rate);
      this.follow();
    }
    view.finish();
    this.app.announce(view.text || view.transcript || "The answer is empty");
    if (spoken) await this.playback.rest(); // until then it can be stopped
  }

  /** What was written is part of the conversation, whole or not; an unanswered question is not. */
  remember(view) {
    const content = view.text || view.transcript;
    if (content) this.messages.push({ role: "assistant", content });
    else if (this.messages.at(-1)?.role === "user") this.messages.pop();
  }

  /** Ask what failed once more, as if it had not been asked. */
  again(question, view, before) {
    this.messages.length = before;
    view.element.previousSibling.remove();
    view.element.remove();
    this.ask(question);
  }

  follow(always = false) {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    if (always || scrollHeight - scrollTop - clientHeight < NEAR_END * 2) this.log.scrollTop = scrollHeight;
  }
}

async function freshPlayback(old) {
  await old?.close();
  return new Playback();
}

function welcome(app, onChoose) {
  const ideas = [
    ["chat", "What is the capital of France?"],
    ["thought", "Explain how rainbows form, in three short steps."],
    app.has("vision")
      ? ["picture", "Describe the picture I attach."]
      : ["copy", "Write a haiku about a quiet harbour."],
    app.has("audio")
      ? ["mic", "What can you hear in the recording I attach?"]
      : ["again", "Give me three names for a small blue boat."],
  ];
  return h(
    "div",
    { class: "hello" },
    h("h2", {}, "Show it, say it, or write it."),
    h(
      "ul",
      { role: "list", "aria-label": "Ideas to begin with" },
      ideas.map(([name, text]) =>
        h("li", {}, h("button", { type: "button", onclick: () => onChoose(text) }, icon(name), text)),
      ),
    ),
  );
}
