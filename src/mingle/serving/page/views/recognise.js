/** Recognise: speech in, words out, with times; words that were told beforehand are marked. */

import { call, formOf } from "../lib/api.js";
import { choice, field, folded, h } from "../lib/dom.js";
import { FileField } from "../lib/drop.js";
import { icon } from "../lib/icons.js";
import { recordButton } from "../lib/microphone.js";
import { download } from "../lib/pictures.js";
import { workbench } from "../lib/workbench.js";

const LANGUAGES = [
  ["", "As it is heard"],
  ["en", "English"],
  ["zh", "Chinese"],
];

export const recognise = {
  id: "recognise",
  title: "Recognise",
  line: "A recording of any length becomes text. Names you give beforehand are heard better, and marked.",
  icon: "recognise",
  hue: "sounds",
  needs: ["thinker", "audio"],

  build(app) {
    const sound = new FileField("audio", "Recording");
    const note = h("p", { class: "notice bad", role: "alert", hidden: true });
    const record = recordButton({
      label: "Record",
      onFile: (file) => sound.set(file),
      onError: (error) => {
        note.hidden = false;
        note.textContent = error.message;
      },
    });
    const words = h("textarea", { rows: 2, placeholder: "Hangzhou, Ming, Dr. Okafor" });
    const about = h("input", { placeholder: "a lecture on botany" });
    const language = choice(LANGUAGES);
    const dialect = h("input", { placeholder: "as the model names it" });
    const more = folded(
      icon("more"),
      "Language and dialect",
      h("div", { class: "pair" }, field("Language", language), field("Dialect", dialect)),
    );

    async function run({ signal }) {
      const file = sound.wanted;
      const known = words.value
        .split(/[,\n]/)
        .map((word) => word.trim())
        .filter(Boolean);
      const form = formOf({
        file,
        model: app.model.id,
        response_format: "verbose_json",
        hotwords: known,
        prompt: about.value.trim(),
        language: language.value,
        dialect: dialect.value.trim(),
      });
      const told = await (await call("v1/audio/transcriptions", { form, signal })).json();
      return [transcript(told, known, file.name), told.text ? `Heard: ${told.text}` : "Nothing was heard"];
    }

    const fields = [
      sound.element,
      h("div", {}, record),
      note,
      field("Words that may occur", words, "Names, terms; separated by commas."),
      field("What it is about", about),
      more,
    ];
    return workbench(app, {
      view: recognise,
      fields,
      action: "Recognise",
      run,
      idle: "The words will appear here, each passage with its time.",
    });
  },
};

/** The text, its figures, its passages with times, and files of them. */
function transcript({ text, language, dialect, duration, segments }, known, name) {
  if (!text) return [h("p", { class: "notice" }, "No words were heard in this recording.")];
  const facts = [language, dialect, `${duration.toFixed(1)} s`].filter(Boolean).join(", ");
  const list = segments.map((one) =>
    h(
      "li",
      {},
      h("time", {}, `${stamp(one.start)} to ${stamp(one.end)}`),
      h("span", {}, marked(one.text, known)),
    ),
  );
  const base = name.replace(/\.\w+$/, "");
  const files = h(
    "div",
    { class: "row" },
    textFile(subtitles(segments), `${base}.srt`, "Save as SRT"),
    textFile(`${text}\n`, `${base}.txt`, "Save as text"),
    h("span", { class: "soft small figures" }, facts),
  );
  return [
    h("p", { class: "transcript", lang: language || null }, marked(text, known)),
    files,
    h("ol", { class: "segments", role: "list", "aria-label": "Passages" }, list),
  ];
}

/** The text with the known words in it marked. */
function marked(text, known) {
  if (!known.length) return [text];
  const words = [...known]
    .sort((a, b) => b.length - a.length)
    .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const parts = text.split(new RegExp(`(${words.join("|")})`, "gi"));
  return parts.map((part, i) => (i % 2 ? h("mark", {}, part) : part));
}

function subtitles(segments) {
  const clock = (seconds) => stamp(seconds, 3).replace(".", ",");
  return segments
    .map(({ start, end, text }, i) => `${i + 1}\n${clock(start)} --> ${clock(end)}\n${text}\n`)
    .join("\n");
}

/** Seconds as 00:00:07.25; with whole hours only where subtitles want them. */
function stamp(seconds, digits = 1) {
  const pad = (value) => String(value).padStart(2, "0");
  const rounded = Number(seconds.toFixed(digits));
  const [h1, m, s] = [Math.floor(rounded / 3600), Math.floor(rounded / 60) % 60, rounded % 60];
  const short = `${pad(m)}:${s.toFixed(digits).padStart(3 + digits, "0")}`;
  return digits === 3 || h1 ? `${pad(h1)}:${short}` : short;
}

function textFile(text, name, words) {
  return download(URL.createObjectURL(new Blob([text], { type: "text/plain" })), name, words);
}
