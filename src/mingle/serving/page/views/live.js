/** Live: speak with the model, show it what the camera sees, interrupt it. */

import { still } from "../lib/camera.js";
import { h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { loudness, openMedia, tap } from "../lib/microphone.js";
import { Playback } from "../lib/playback.js";
import { Realtime } from "../lib/realtime.js";
import { press, pressed, toggle } from "../lib/toggle.js";

const FRAME_MS = 1000;
const FRAME_SIDE = 448;
const KEPT_CAPTIONS = 40;
const BY_HAND =
  "This server does not hear where turns end, so take them by hand: " +
  "open the microphone to speak, close it to be answered.";
const STATES = {
  off: "Not connected",
  connecting: "Connecting",
  listening: "Listening",
  closed: "Microphone closed",
  hearing: "Hearing you",
  thinking: "Thinking",
  speaking: "Answering",
  away: "Reconnecting",
  failed: "Disconnected",
};

export const live = {
  id: "live",
  title: "Live",
  line: "Speak with the model, show it things, interrupt it whenever you like.",
  icon: "live",
  hue: "sounds",
  needs: ["thinker", "audio"],

  build(app) {
    return new Live(app);
  },
};

class Live {
  constructor(app) {
    this.app = app;
    this.lines = new Map();
    this.note = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.element = h(
      "section",
      { class: "view live" },
      h("header", {}, h("h1", { tabindex: -1 }, "Live"), h("p", {}, live.line)),
      this.buildScene(),
      this.buildControls(),
      this.note,
    );
    this.state("off");
  }

  buildScene() {
    this.video = h("video", { autoplay: true, playsinline: true, hidden: true, "aria-label": "Your camera" });
    this.video.muted = true;
    this.orb = h("div", { class: "orb", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
    this.pill = h("span", { class: "pill", role: "status" });
    this.latency = h("span", { class: "pill plain", hidden: true });
    this.captions = h("div", {
      class: "captions",
      role: "log",
      "aria-label": "Captions",
      "aria-live": "polite",
      tabindex: 0,
    });
    this.scene = h(
      "div",
      { class: "scene" },
      this.video,
      this.orb,
      h("div", { class: "top" }, this.pill, this.latency),
      this.captions,
    );
    return this.scene;
  }

  buildControls() {
    this.talk = h("button", {
      type: "button",
      class: "primary round",
      onclick: () => (this.session ? this.end() : this.begin()),
    });
    this.mute = toggle("mic", "Mute the microphone", { style: "round", onChange: () => this.setMuted() });
    this.camera = toggle("camera", "Show the camera's picture", {
      style: "round",
      hidden: !this.app.has("vision"),
      onChange: () => this.setCamera(),
    });
    this.byHand = toggle(
      "hand",
      "Take turns by hand: open the microphone to speak, close it to be answered",
      { style: "round", onChange: () => this.setTurns() },
    );
    this.hush = h(
      "button",
      { type: "button", class: "round", "aria-label": "Interrupt", onclick: () => this.bargeIn(true) },
      icon("stop"),
      h("span", { class: "word" }, "Interrupt"),
    );
    return h("div", { class: "controls" }, this.talk, this.mute, this.byHand, this.camera, this.hush);
  }

  closed() {
    this.end();
  }

  async begin() {
    this.note.hidden = true;
    this.state("connecting");
    this.talk.disabled = true;
    try {
      const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
      this.stream = await openMedia({ audio });
      this.playback = new Playback();
      this.playback.onIdle = () => this.fellSilent();
      this.untap = await tap(this.stream, (run) => this.microphone(run));
      this.session = new Realtime(this.app.model.id, {
        spoken: this.app.has("talker"),
        handsFree: !pressed(this.byHand),
        on: this.reactions(),
      });
      this.drawing = requestAnimationFrame(() => this.draw());
      await this.setCamera();
    } catch (error) {
      this.end();
      this.fail(error.message);
    }
    this.talk.disabled = false;
    this.state(this.now);
    if (this.element.hidden) this.end(); // the user went elsewhere meanwhile
  }

  end() {
    cancelAnimationFrame(this.drawing);
    clearInterval(this.frames);
    this.session?.close();
    this.untap?.();
    this.playback?.close();
    for (const stream of [this.stream, this.view]) stream?.getTracks().forEach((track) => track.stop());
    this.video.hidden = true;
    this.scene.classList.remove("seeing");
    this.session = this.untap = this.playback = this.stream = this.view = this.speaking = null;
    this.ready = false;
    this.state("off");
  }

  reactions() {
    return {
      began: () => {
        this.ready = true;
        this.state("listening");
      },
      heard: (now) => this.heard(now),
      asked: (item, text, whole) => this.caption(item, "You", text, whole),
      answered: (item, text) => {
        this.measure();
        this.caption(item, "Mingle", text, false);
        this.state("speaking");
      },
      sound: (item, samples, rate) => this.sound(item, samples, rate),
      ended: (failure) => this.ended(failure),
      failed: ({ message, code }) =>
        code === "unsupported" && !pressed(this.byHand) ? this.goOnByHand() : this.fail(message),
      away: () => {
        this.ready = false;
        this.state("away");
      },
      closed: (reason) => {
        this.end();
        this.state("failed");
        this.fail(reason || "The connection was lost. Start again to go on.");
      },
    };
  }

  microphone(run) {
    this.loud = loudness(run);
    if (this.ready && !pressed(this.mute)) this.session.hear(run);
  }

  heard(now) {
    if (now) this.bargeIn(pressed(this.byHand));
    else this.stopped = performance.now();
    this.state(now ? "hearing" : "thinking");
  }

  sound(item, samples, rate) {
    this.measure();
    if (this.speaking !== item) {
      this.speaking = item;
      this.playback.rewind();
    }
    this.playback.push(samples, rate);
    this.state("speaking");
  }

  /** Silence; the server is told how much was heard. `byUser`: it does not know of it yet. */
  bargeIn(byUser) {
    const item = this.speaking;
    const seconds = this.playback.stop();
    if (byUser) this.session.cancel();
    if (item) {
      this.session.truncate(item, seconds);
      this.lines.get(item)?.classList.add("cut");
    }
    this.speaking = null;
    this.state("listening");
  }

  ended(failure) {
    if (failure) this.fail(failure);
    if (!this.playback.playing) this.fellSilent();
  }

  fellSilent() {
    if (this.session?.answering) return;
    this.speaking = null;
    this.state("listening");
  }

  /** From the end of the question to the first sign of an answer. */
  measure() {
    if (!this.stopped) return;
    this.latency.textContent = `answered after ${((performance.now() - this.stopped) / 1000).toFixed(2)} s`;
    this.latency.hidden = false;
    this.stopped = null;
  }

  caption(item, who, text, whole) {
    if (!this.lines.has(item)) {
      const line = h("div", { class: "caption" }, h("b", {}, who), h("p"));
      this.lines.set(item, line);
      this.captions.append(line);
      if (this.captions.children.length > KEPT_CAPTIONS) this.captions.firstChild.remove();
    }
    const words = this.lines.get(item).lastChild;
    words.textContent = whole ? text : words.textContent + text;
    this.captions.scrollTop = this.captions.scrollHeight;
  }

  /** By hand, a turn lasts while the microphone is open; closing it asks for the answer. */
  setMuted() {
    const muted = pressed(this.mute);
    this.mute.replaceChildren(icon(muted ? "mute" : "mic"));
    if (pressed(this.byHand) && this.ready) {
      if (muted) this.session.ask();
      this.heard(!muted);
    } else this.state(this.now);
  }

  /** Turns by hand begin with a closed microphone. */
  setTurns() {
    press(this.mute, pressed(this.byHand));
    this.setMuted();
  }

  /** The server cannot hear where turns end. */
  async goOnByHand() {
    this.end();
    press(this.byHand, true);
    this.setTurns();
    await this.begin();
    this.fail(BY_HAND);
  }

  /** Open or close the camera, as its button says. */
  async setCamera() {
    clearInterval(this.frames);
    this.view?.getTracks().forEach((track) => track.stop());
    this.view = null;
    if (pressed(this.camera) && this.session) {
      this.view = await openMedia({ video: { width: 640 } }).catch((error) => this.fail(error.message));
      this.video.srcObject = this.view;
      this.frames = setInterval(() => this.look(), FRAME_MS);
    }
    this.video.hidden = !this.view;
    this.scene.classList.toggle("seeing", Boolean(this.view));
  }

  async look() {
    const frame = this.ready && (await still(this.video, FRAME_SIDE));
    if (frame) await this.session?.see(frame);
  }

  draw() {
    const level = this.speaking ? this.playback.level : pressed(this.mute) ? 0 : this.loud;
    this.orb.style.setProperty("--loud", (level ?? 0).toFixed(3));
    this.drawing = requestAnimationFrame(() => this.draw());
  }

  fail(words) {
    this.note.hidden = false;
    this.note.textContent = words;
  }

  state(now) {
    this.now = now;
    const words = STATES[now === "listening" && pressed(this.mute) ? "closed" : now];
    this.pill.dataset.state = now;
    if (this.pill.textContent !== words) this.pill.textContent = words; // said once by screen readers
    this.byHand.disabled = Boolean(this.session);
    this.talk.replaceChildren(icon(this.session ? "hang" : "live"), this.session ? "End" : "Start talking");
    this.hush.disabled = !["thinking", "speaking"].includes(now);
  }
}
