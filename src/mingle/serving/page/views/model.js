/** Model: what is served, and what it is doing just now, as the server's figures tell. */

import { call } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { parse, total } from "../lib/metrics.js";
import { Plot } from "../lib/plot.js";

const EVERY_MS = 2000;
const EXPERTS = "mingle_expert_tokens_total"; // labels: modality, expert
const MODALITIES = [
  ["text", "Text", "words"],
  ["image", "Pictures", "sights"],
  ["audio", "Sound", "sounds"],
];
const PARTS = [
  ["thinker", "chat", "Thinks", "reads and writes text"],
  ["vision", "picture", "Sees", "pictures and films"],
  ["audio", "mic", "Hears", "speech and sound"],
  ["talker", "speak", "Speaks", "with voices"],
  ["painter", "paint", "Paints", "and edits"],
];

export const model = {
  id: "model",
  title: "Model",
  line: "What is served here and what it is doing just now, in the server's own figures.",
  icon: "model",
  hue: "words",
  needs: [],

  build(app) {
    const written = new Tile("Written", "tokens a second");
    const read = new Tile("Read", "tokens a second");
    const answers = new Tile("Answers being written", "waiting: 0");
    const first = new Tile("Time to first token", "seconds, mean since the start");
    const speech = new Tile("Speech", "seconds of work for one of sound");
    const live = new Tile("Live conversations", "");
    const experts = new Experts();
    const note = h("p", { class: "notice bad", role: "alert", hidden: true });
    let before = null;
    let timer = null;

    async function look() {
      try {
        const now = { at: performance.now(), samples: parse(await (await call("metrics")).text()) };
        if (before) draw(before, now);
        before = now;
        note.hidden = true;
      } catch (error) {
        note.hidden = false;
        note.textContent = error.message;
      }
    }

    function draw(old, { at, samples }) {
      const rate = (direction) => {
        const count = total(samples, "mingle_tokens_total", { direction });
        return count === null
          ? null
          : (count - (total(old.samples, "mingle_tokens_total", { direction }) ?? 0)) /
              ((at - old.at) / 1000);
      };
      const waiting = total(samples, "mingle_requests_waiting");
      written.show(rate("out"), 1);
      read.show(rate("in"), 1);
      answers.show(
        total(samples, "mingle_requests_running"),
        0,
        waiting === null ? "" : `waiting: ${waiting}`,
      );
      first.show(mean(samples, "mingle_time_to_first_token_seconds"), 3);
      speech.show(mean(samples, "mingle_speech_real_time_factor"), 2);
      live.show(total(samples, "mingle_realtime_sessions"), 0);
      experts.show(samples, old.samples);
    }

    const tiles = [written, read, answers, first, speech, live].map((tile) => tile.element);
    const element = h(
      "section",
      { class: "view" },
      h("header", {}, h("h1", { tabindex: -1 }, "Model"), h("p", {}, model.line)),
      note,
      h("div", { class: "tiles" }, tiles),
      experts.element,
      parts(app),
    );
    return {
      element,
      opened: () => {
        look();
        timer = setInterval(look, EVERY_MS);
      },
      closed: () => clearInterval(timer),
    };
  },
};

/** One figure and its last two minutes. */
class Tile {
  constructor(title, unit) {
    this.unit = unit;
    this.plot = new Plot();
    this.value = h("p", { class: "value none" }, "Looking");
    this.element = h("div", { class: "tile" }, h("h2", {}, title), this.value, this.plot.element);
  }

  /** Null is told as what it is: the server does not tell. */
  show(value, digits, unit = this.unit) {
    this.value.classList.toggle("none", value === null);
    this.plot.element.toggleAttribute("hidden", value === null);
    if (value === null) {
      this.value.replaceChildren("Not available yet");
      return;
    }
    this.value.replaceChildren(value.toFixed(digits), " ", h("small", {}, unit));
    this.plot.push(value);
  }
}

/** Which experts read text, pictures and sound: since the last look; if nothing was read, since the start. */
class Experts {
  constructor() {
    this.inside = h("div", { class: "experts" });
    this.element = h(
      "section",
      { class: "band" },
      h("h2", {}, "Experts at work"),
      h(
        "p",
        {},
        "Each token is read by a few experts of the mixture, chosen by the router of its own modality. " +
          "Bars show how often each expert of the middle layer was chosen.",
      ),
      this.inside,
    );
    this.inside.append(h("p", { class: "soft" }, "Looking"));
  }

  show(samples, old) {
    const counts = byModality(samples);
    if (!counts.size) {
      this.inside.replaceChildren(
        h("p", { class: "soft" }, "Not available: this server does not tell which experts its tokens used."),
      );
      return;
    }
    const before = byModality(old);
    this.inside.replaceChildren(
      ...MODALITIES.filter(([id]) => counts.has(id)).map(([id, title, hue]) => {
        const all = counts.get(id);
        const fresh = all.map((count, i) => count - (before.get(id)?.[i] ?? 0));
        const busy = fresh.some((count) => count > 0);
        return row(title, hue, busy ? fresh : all, busy ? "just now" : "since the start");
      }),
    );
  }
}

function byModality(samples) {
  const found = new Map();
  for (const { name, labels, value } of samples) {
    if (name !== EXPERTS) continue;
    if (!found.has(labels.modality)) found.set(labels.modality, []);
    found.get(labels.modality)[Number(labels.expert)] = value;
  }
  return new Map(
    [...found].map(([modality, counts]) => [modality, Array.from(counts, (count) => count ?? 0)]),
  );
}

function row(title, hue, counts, when) {
  const highest = Math.max(...counts) || 1;
  const used = counts.filter((count) => count > 0).length;
  const bars = counts.map((count) => {
    const bar = h("i");
    bar.style.setProperty("--share", count / highest);
    return bar;
  });
  return h(
    "section",
    { "data-hue": hue },
    h("h3", {}, title, h("span", {}, `${used} of ${counts.length}, ${when}`)),
    h("div", { class: "bars", "aria-hidden": "true" }, bars),
  );
}

function parts(app) {
  const list = PARTS.map(([part, name, words, detail]) =>
    h(
      "li",
      { class: app.has(part) ? "" : "off" },
      icon(name),
      h(
        "span",
        {},
        h("b", {}, app.has(part) ? words : `No ${part}`),
        " ",
        h("span", { class: "soft small" }, app.has(part) ? detail : "not part of this model"),
      ),
    ),
  );
  const facts = [
    app.model.family && `family ${app.model.family}`,
    app.model.context_tokens && `remembers ${app.model.context_tokens.toLocaleString("en")} tokens`,
  ];
  return h(
    "section",
    { class: "band" },
    h("h2", {}, app.model.id),
    h("p", {}, facts.filter(Boolean).join(", ")),
    h("ul", { class: "parts", role: "list" }, list),
  );
}

function mean(samples, name) {
  const count = total(samples, `${name}_count`);
  return count ? total(samples, `${name}_sum`) / count : null;
}
