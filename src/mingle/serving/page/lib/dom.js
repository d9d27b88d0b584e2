/** Elements without a framework. Text is always text: nothing here reads HTML. */

let numbered = 0;

/** h("button", { class: "primary", onclick: save }, "Save") */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...present(children));
  return element;
}

/** The children that are there: lists opened, null and false left out. */
function present(children) {
  return children.flat().filter((child) => child !== undefined && child !== null && child !== false);
}

/** An id that no other element of this page has. */
export function freshId(prefix) {
  numbered += 1;
  return `${prefix}-${numbered}`;
}

/** A labelled control, with a hint below it where there is one. */
export function field(label, control, hint) {
  control.id ||= freshId("field");
  const told = hint && h("p", { id: `${control.id}-hint` }, hint);
  if (told) control.setAttribute("aria-describedby", told.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, told);
}

/** A checkbox with its words beside it. */
export function check(label, properties = {}) {
  const box = h("input", { type: "checkbox", ...properties });
  return { box, element: h("label", { class: "check" }, box, h("span", {}, label)) };
}

/** A drop-down list of [value, words] pairs. */
export function choice(pairs, properties = {}) {
  return h(
    "select",
    properties,
    pairs.map(([value, words]) => h("option", { value }, words)),
  );
}

/** A few alternatives side by side; `.value` of the result is the chosen one. */
export function chips(legend, pairs, chosen) {
  const name = freshId("chips");
  const options = pairs.map(([value, words]) =>
    h(
      "label",
      {},
      h("input", { type: "radio", name, value, class: "unseen", checked: value === chosen }),
      words,
    ),
  );
  const element = h(
    "fieldset",
    { class: "field" },
    h("legend", {}, legend),
    h("div", { class: "chips" }, options),
  );
  return {
    element,
    get value() {
      return element.querySelector(":checked").value;
    },
  };
}

/** Options that are seldom needed, folded away. */
export function folded(icon, title, ...inside) {
  return h("details", {}, h("summary", {}, icon, title), h("div", { class: "inside" }, inside));
}
