/** Edit: a picture and what to change about it. */

import { call, formOf } from "../lib/api.js";
import { pictureFile } from "../lib/bytes.js";
import { field, folded, h } from "../lib/dom.js";
import { FileField } from "../lib/drop.js";
import { icon } from "../lib/icons.js";
import { compare, drawingOptions, pictureCard } from "../lib/pictures.js";
import { workbench } from "../lib/workbench.js";

export const edit = {
  id: "edit",
  title: "Edit",
  line: "Give a picture and say what is to change. Slide between before and after.",
  icon: "edit",
  hue: "sights",
  needs: ["thinker", "vision", "painter"],

  build(app) {
    const picture = new FileField("image", "Picture");
    const prompt = h("textarea", { rows: 3, placeholder: "Make it a rainy evening" });
    const drawing = drawingOptions();
    const more = h(
      "div",
      { class: "pair" },
      drawing.inputs.map(([label, input]) => field(label, input)),
    );

    async function run({ signal }) {
      const before = picture.wanted;
      if (!prompt.value.trim()) throw new Error("Say what is to change first.");
      const form = formOf({ image: before, prompt: prompt.value, model: app.model.id, ...drawing.values });
      const {
        data: [{ b64_json, seed }],
        size,
      } = await (await call("v1/images/edits", { form, signal })).json();
      const after = pictureFile(b64_json, "edited.png");
      const card = pictureCard(app, after, prompt.value, `${size}, seed ${seed}`);
      card.querySelector("img").replaceWith(compare(before, after, prompt.value));
      return [[card], "Edited. The slider shows before and after."];
    }

    const fields = [
      picture.element,
      field("What is to change", prompt),
      folded(icon("more"), "More options", more),
    ];
    const bench = workbench(app, {
      view: edit,
      fields,
      action: "Edit",
      run,
      idle: "Before and after will stand here, one over the other.",
    });
    return { ...bench, receive: (given) => picture.set(given.picture) };
  },
};
