/** Segment: what is named in a picture, laid over it in colour; several names at once. */

import { call, formOf } from "../lib/api.js";
import { pictureFile } from "../lib/bytes.js";
import { field, folded, freshId, h } from "../lib/dom.js";
import { FileField } from "../lib/drop.js";
import { icon } from "../lib/icons.js";
import { download, drawingOptions } from "../lib/pictures.js";
import { workbench } from "../lib/workbench.js";

const COLOURS = ["#e0682a", "#12a28a", "#4a6be0", "#c2409b", "#c9a400", "#2e9fd8"];

export const segment = {
  id: "segment",
  title: "Segment",
  line: "Name things in a picture, one a line; each gets its mask.",
  icon: "segment",
  hue: "sights",
  needs: ["thinker", "vision", "painter"],

  build(app) {
    const picture = new FileField("image", "Picture");
    const names = h("textarea", { rows: 3, placeholder: "the left banana\nthe bowl" });
    const drawing = drawingOptions();
    const more = h(
      "div",
      { class: "pair" },
      drawing.inputs.map(([label, input]) => field(label, input)),
    );

    async function run({ signal, show }) {
      const image = picture.wanted;
      const things = names.value
        .split("\n")
        .map((name) => name.trim())
        .filter(Boolean);
      if (!things.length) throw new Error("Name what to find first.");
      const overlay = await Overlay.of(image);
      for (const [i, prompt] of things.entries()) {
        const form = formOf({ image, prompt, model: app.model.id, ...drawing.values });
        const {
          data: [found],
        } = await (await call("v1/images/segmentations", { form, signal })).json();
        await overlay.add(prompt, found, COLOURS[i % COLOURS.length]);
        show(...overlay.elements);
      }
      return [overlay.elements, `${things.length} looked for, ${overlay.found} found`];
    }

    const fields = [
      picture.element,
      field("What to find", names),
      folded(icon("more"), "More options", more),
    ];
    const bench = workbench(app, {
      view: segment,
      fields,
      action: "Segment",
      run,
      idle: "The picture will appear here with what you named laid over in colour.",
    });
    return { ...bench, receive: (given) => picture.set(given.picture) };
  },
};

/** A picture, coloured masks over it, how strongly they are laid, and each one's figures. */
class Overlay {
  static async of(file) {
    const bitmap = await createImageBitmap(file);
    return new Overlay(file, bitmap.width, bitmap.height);
  }

  constructor(file, width, height) {
    this.layers = [];
    this.canvas = h("canvas", { width, height, "aria-hidden": "true" });
    this.list = h("ul", { class: "legend", role: "list" });
    this.strength = h("input", {
      type: "range",
      min: 0,
      max: 100,
      value: 55,
      id: freshId("opacity"),
      oninput: () => this.draw(),
    });
    const image = h("img", { src: URL.createObjectURL(file), alt: "The picture with its masks" });
    this.elements = [
      h("div", { class: "overlaid" }, image, this.canvas),
      field("Opacity of the colours", this.strength),
      this.list,
    ];
  }

  get found() {
    return this.layers.filter(({ area }) => area > 0).length;
  }

  /** Lay one more mask over the picture. */
  async add(name, { mask, area, confidence }, colour) {
    const file = pictureFile(mask, `mask-${name.replace(/\W+/g, "-")}.png`);
    const layer = { name, area, on: true, image: await tinted(file, colour) };
    this.layers.push(layer);
    const share = ((100 * area) / (this.canvas.width * this.canvas.height)).toFixed(1);
    const facts = area ? `${share} %, confidence ${confidence.toFixed(2)}` : "not found";
    const box = h("input", {
      type: "checkbox",
      checked: true,
      "aria-label": `Show ${name}`,
      onchange: () => {
        layer.on = box.checked;
        this.draw();
      },
    });
    const swatch = h("span", { class: "swatch" });
    swatch.style.background = colour;
    this.list.append(
      h(
        "li",
        {},
        box,
        swatch,
        h("span", {}, h("b", {}, name), h("span", { class: "soft small" }, facts)),
        download(URL.createObjectURL(file), file.name, "Mask"),
      ),
    );
    this.draw();
  }

  draw() {
    const paper = this.canvas.getContext("2d");
    paper.clearRect(0, 0, this.canvas.width, this.canvas.height);
    paper.globalAlpha = this.strength.value / 100;
    for (const { image, on } of this.layers) {
      if (on) paper.drawImage(image, 0, 0, this.canvas.width, this.canvas.height);
    }
  }
}

/** A mask (white on black) as a coloured picture, clear where the mask is black. */
async function tinted(file, colour) {
  const bitmap = await createImageBitmap(file);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const paper = canvas.getContext("2d");
  paper.drawImage(bitmap, 0, 0);
  const pixels = paper.getImageData(0, 0, canvas.width, canvas.height);
  const rgb = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  for (let i = 0; i < pixels.data.length; i += 4) {
    pixels.data[i + 3] = pixels.data[i];
    pixels.data.set(rgb, i);
  }
  paper.putImageData(pixels, 0, 0);
  return canvas;
}
