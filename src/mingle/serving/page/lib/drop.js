/** Places that take files: by dropping, by choosing, by pasting. */

import { freshId, h } from "./dom.js";
import { icon } from "./icons.js";
import { kindOf } from "./bytes.js";
import { player, samplesOf } from "./player.js";

const KINDS = {
  image: { accept: "image/*", icon: "picture", words: "Drop a picture here, or choose one" },
  audio: { accept: "audio/*,video/*", icon: "recognise", words: "Drop a recording here, or choose one" },
};

/** Make an element take files that are dropped on it; `lit` is marked while they hover. */
export function takesDrops(element, onFiles, lit = element) {
  const over = (event) => {
    event.preventDefault();
    lit.classList.add("over");
  };
  element.addEventListener("dragenter", over);
  element.addEventListener("dragover", over);
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget)) lit.classList.remove("over");
  });
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    lit.classList.remove("over");
    onFiles([...event.dataTransfer.files]);
  });
}

/** A field for one picture or recording; `file` is what was given, null at first. */
export class FileField {
  constructor(kind, label) {
    const id = freshId("file");
    this.kind = kind;
    this.file = null;
    this.input = h("input", {
      type: "file",
      id,
      accept: KINDS[kind].accept,
      onchange: () => this.input.files[0] && this.set(this.input.files[0]),
    });
    this.inside = h("div", { class: "drop-words" });
    this.box = h("div", { class: "drop" }, this.inside, this.input);
    this.below = h("div");
    this.element = h("div", { class: "field" }, h("label", { for: id }, label), this.box, this.below);
    takesDrops(this.box, ([file]) => file && this.set(file));
    this.invite();
  }

  invite() {
    const { icon: name, words } = KINDS[this.kind];
    this.inside.replaceChildren(icon(name), h("span", {}, words));
  }

  /** Take a file and show it. */
  async set(file) {
    this.file = file;
    this.below.replaceChildren();
    if (this.kind === "image") {
      const picture = h("img", { src: URL.createObjectURL(file), alt: `Chosen: ${file.name}` });
      this.inside.replaceChildren(picture);
    } else {
      this.inside.replaceChildren(icon("recognise"), h("b", {}, file.name), h("span", {}, size(file.size)));
      // null: the server may know formats that this browser does not
      const samples = await samplesOf(file).catch(() => null);
      if (samples && this.file === file)
        this.below.replaceChildren(player({ samples, file, label: "recording" }));
    }
  }

  /** The file. Throws an Error that says what to do if there is none or it is of another kind. */
  get wanted() {
    if (!this.file) throw new Error(`${KINDS[this.kind].words.split(",")[0]} first.`);
    const kind = kindOf(this.file);
    if (this.kind === "image" && kind !== "image") throw new Error(`${this.file.name} is not a picture.`);
    return this.file;
  }
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
