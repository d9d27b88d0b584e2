/** Paint: words in, pictures out. */

import { call } from "../lib/api.js";
import { pictureFile } from "../lib/bytes.js";
import { chips, choice, field, folded, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { drawingOptions, pictureCard } from "../lib/pictures.js";
import { workbench } from "../lib/workbench.js";

const SHAPES = [
  ["auto", "As it suits"],
  ["1024x1024", "Square"],
  ["1344x768", "Wide"],
  ["768x1344", "Tall"],
];

export const paint = {
  id: "paint",
  title: "Paint",
  line: "Say what is to be seen. Words in quotation marks are written into the picture.",
  icon: "paint",
  hue: "sights",
  needs: ["thinker", "painter"],

  build(app) {
    const prompt = h("textarea", {
      rows: 5,
      placeholder: 'A lighthouse in the fog, its door painted "OPEN"',
    });
    const shape = chips("Shape", SHAPES, "auto");
    const count = choice([
      [1, "1"],
      [2, "2"],
      [4, "4"],
    ]);
    const drawing = drawingOptions();
    const more = h(
      "div",
      { class: "pair" },
      field("Pictures", count),
      drawing.inputs.map(([label, input]) => field(label, input)),
    );

    async function run({ signal }) {
      if (!prompt.value.trim()) throw new Error("Say what to paint first.");
      const response = await call("v1/images/generations", {
        signal,
        json: {
          model: app.model.id,
          prompt: prompt.value,
          size: shape.value,
          n: Number(count.value),
          ...drawing.values,
        },
      });
      const { data, size } = await response.json();
      const cards = data.map(({ b64_json, seed }, i) =>
        pictureCard(
          app,
          pictureFile(b64_json, `painted-${i + 1}.png`),
          prompt.value,
          `${size}, seed ${seed}`,
        ),
      );
      return [[h("div", { class: "gallery" }, cards)], `${data.length} painted`];
    }

    const fields = [
      field("What is to be seen", prompt),
      shape.element,
      folded(icon("more"), "More options", more),
    ];
    return workbench(app, {
      view: paint,
      fields,
      action: "Paint",
      run,
      idle: "The picture will appear here. Painting takes from seconds to minutes, by model and machine.",
    });
  },
};
