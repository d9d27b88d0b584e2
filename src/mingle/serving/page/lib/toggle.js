/** Buttons that stay pressed. */

import { h } from "./dom.js";
import { icon } from "./icons.js";

/** A button of an icon; `words` is its name, `onChange` is called after a press. */
export function toggle(name, words, { style = "", hidden = false, onChange = () => {} } = {}) {
  const button = h(
    "button",
    {
      type: "button",
      class: `icon ${style}`,
      "aria-pressed": "false",
      "aria-label": words,
      title: words,
      hidden,
      onclick: () => {
        press(button, !pressed(button));
        onChange();
      },
    },
    icon(name),
  );
  return button;
}

export function pressed(button) {
  return button.getAttribute("aria-pressed") === "true";
}

export function press(button, down) {
  button.setAttribute("aria-pressed", String(down));
}
