/** Speak: a text, a voice, a manner; heard while it is made. */

import { call } from "../lib/api.js";
import { wavFile } from "../lib/bytes.js";
import { chips, choice, field, folded, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { Playback } from "../lib/playback.js";
import { PcmReader, player } from "../lib/player.js";
import { VoiceList, cloningForm } from "../lib/voices.js";
import { workbench } from "../lib/workbench.js";

const RATE = 24000; // of the endpoint's pcm
const SPEEDS = [
  ["0.6", "Slow"],
  ["1", "As it comes"],
  ["1.6", "Fast"],
];
const EMOTIONS = ["happy", "sad", "angry", "surprised", "afraid", "disgusted", "neutral"];
const DIALECTS = ["cantonese", "sichuanese"];

export const speak = {
  id: "speak",
  title: "Speak",
  line: "A text, a voice, a manner. It is heard while it is being made.",
  icon: "speak",
  hue: "sounds",
  needs: ["talker"],

  build(app) {
    const text = h("textarea", { rows: 6, placeholder: "What is to be said" });
    const voices = new VoiceList();
    const manner = h("input", { placeholder: "calm, like a bedtime story" });
    const emotion = choice(named(EMOTIONS));
    const dialect = choice(named(DIALECTS));
    const speed = chips("Pace", SPEEDS, "1");
    const style = folded(
      icon("more"),
      "Manner",
      field("In words", manner),
      h("div", { class: "pair" }, field("Emotion", emotion), field("Dialect", dialect)),
      speed.element,
    );

    async function run({ signal, show }) {
      if (!text.value.trim()) throw new Error("Write what is to be said first.");
      const asked = {
        model: app.model.id,
        input: text.value,
        response_format: "pcm",
        voice: voices.chosen,
        instructions: manner.value || undefined,
        emotion: emotion.value || undefined,
        dialect: dialect.value || undefined,
        speed: Number(speed.value),
      };
      const begun = performance.now();
      const response = await call("v1/audio/speech", { json: asked, signal });
      const { samples, first } = await hear(response, { begun, show, signal });
      const file = wavFile(samples, RATE, "speech.wav");
      const seconds = samples.length / RATE;
      const facts = `${seconds.toFixed(1)} s of speech, first sound after ${(first / 1000).toFixed(2)} s`;
      const save = h(
        "a",
        { class: "button small", href: URL.createObjectURL(file), download: file.name },
        icon("download"),
        "Save as WAV",
      );
      return [
        [
          player({ samples, file, label: "speech", big: true }),
          h("div", { class: "row" }, save, h("span", { class: "soft small figures" }, facts)),
        ],
        facts,
      ];
    }

    const fields = [field("Text", text), voices.element, style];
    const bench = workbench(app, {
      view: speak,
      fields,
      action: "Speak",
      run,
      below: cloningForm(app, voices),
      idle: "The voice will be drawn here, ready to hear again and to save.",
    });
    return { ...bench, opened: () => voices.refresh() };
  },
};

/** Play what arrives at once; all of it, and the milliseconds to its first sound. */
async function hear(response, { begun, show, signal }) {
  const playback = new Playback();
  signal.addEventListener("abort", () => playback.stop());
  const pcm = new PcmReader();
  const clock = h("p", { class: "figures" }, "Speaking");
  let first = null;
  try {
    for await (const bytes of response.body) {
      first ??= performance.now() - begun;
      playback.push(pcm.read(bytes), RATE);
      clock.textContent = `Speaking, ${playback.given.toFixed(1)} s made`;
      if (!clock.isConnected) show(clock);
    }
    await playback.rest();
  } finally {
    playback.close();
  }
  return { samples: pcm.samples, first: first ?? 0 };
}

function named(words) {
  return [["", "As it comes"], ...words.map((word) => [word, word[0].toUpperCase() + word.slice(1)])];
}
