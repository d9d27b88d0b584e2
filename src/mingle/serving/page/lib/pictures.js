/** Pictures that came from the server: shown, saved, passed on, compared. */

import { h } from "./dom.js";
import { icon } from "./icons.js";

/** A picture with what can be done next; `words` is what it shows. */
export function pictureCard(app, file, words, note) {
  const address = URL.createObjectURL(file);
  const others = [
    ["edit", "Edit"],
    ["segment", "Segment"],
  ].map(([id, title]) =>
    h(
      "button",
      { type: "button", class: "quiet small", onclick: () => app.open(id, { picture: file }) },
      icon(id),
      title,
    ),
  );
  return h(
    "figure",
    { class: "picture" },
    h("img", { src: address, alt: words }),
    h(
      "figcaption",
      {},
      note && h("span", { class: "soft small figures" }, note),
      download(address, file.name, "Save"),
      others,
    ),
  );
}

/** A link that saves. */
export function download(address, name, words) {
  return h("a", { class: "button quiet small", href: address, download: name }, icon("download"), words);
}

/** Two pictures over each other and a bar to slide between them. */
export function compare(before, after, words) {
  const slider = h("input", {
    type: "range",
    min: 0,
    max: 100,
    step: 1,
    value: 50,
    "aria-label": "How much of the picture before",
    "aria-valuetext": "50 percent before",
  });
  const box = h(
    "div",
    { class: "compare" },
    h("img", { src: URL.createObjectURL(after), alt: `After: ${words}` }),
    h("img", { class: "before", src: URL.createObjectURL(before), alt: "Before" }),
    h("span", { class: "tag left", "aria-hidden": "true" }, "Before"),
    h("span", { class: "tag right", "aria-hidden": "true" }, "After"),
    h("div", { class: "bar", "aria-hidden": "true" }, icon("across")),
    slider,
  );
  slider.addEventListener("input", () => {
    box.style.setProperty("--cut", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${slider.value} percent before`);
  });
  return box;
}

/** Number fields for steps, guidance and seed; what is left empty is left to the model. */
export function drawingOptions() {
  const number = (properties) =>
    h("input", { type: "number", inputmode: "decimal", placeholder: "auto", ...properties });
  const steps = number({ min: 1, max: 1000 });
  const guidance = number({ min: 0, max: 100, step: "any" });
  const seed = number({ min: 0 });
  const value = (input) => (input.value === "" ? undefined : Number(input.value));
  return {
    inputs: [
      ["Steps", steps],
      ["Guidance", guidance],
      ["Seed", seed],
    ],
    get values() {
      return { num_inference_steps: value(steps), guidance_scale: value(guidance), seed: value(seed) };
    },
  };
}
