/** Light, dark, or as the system has it. */

import { h } from "./dom.js";
import { icon } from "./icons.js";

const KEPT = "mingle-theme";
const THEMES = [
  ["", "As the system", "system"],
  ["light", "Light", "sun"],
  ["dark", "Dark", "moon"],
];

/** Three radio buttons; the choice is kept in this browser. */
export function themeSwitch() {
  const chosen = localStorage.getItem(KEPT) ?? "";
  return h(
    "fieldset",
    { class: "themes" },
    h("legend", { class: "unseen" }, "Theme"),
    THEMES.map(([theme, words, name]) =>
      h(
        "label",
        { title: words },
        h("input", {
          type: "radio",
          name: "theme",
          class: "unseen",
          checked: theme === chosen,
          "aria-label": words,
          onchange: () => choose(theme),
        }),
        icon(name),
      ),
    ),
  );
}

function choose(theme) {
  if (theme) {
    localStorage.setItem(KEPT, theme);
    document.documentElement.dataset.theme = theme;
  } else {
    localStorage.removeItem(KEPT);
    delete document.documentElement.dataset.theme;
  }
}
