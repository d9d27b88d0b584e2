/** Asks for the API key of a server that wants one; it is kept for this tab only. */

import { field, h } from "./dom.js";

/** The key, or null if the user would rather not. */
export function askForKey() {
  const input = h("input", { type: "password", autocomplete: "off", required: true });
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", {}, "This server wants an API key"),
    field(
      "API key",
      input,
      "The one that was given to mingle serve --api-key. It is forgotten when this tab closes.",
    ),
    h(
      "div",
      { class: "row" },
      h("button", { value: "no", formnovalidate: true, class: "quiet" }, "Cancel"),
      h("button", { value: "yes", class: "primary" }, "Continue"),
    ),
  );
  const dialog = h("dialog", { "aria-label": "API key" }, form);
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? input.value.trim() : null);
    }),
  );
}
