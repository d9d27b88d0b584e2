/** Mingle's page: the rail of views, which of them this model can do, and the way between them. */

import { ApiError, call, onLocked } from "./lib/api.js";
import { h } from "./lib/dom.js";
import { icon } from "./lib/icons.js";
import { askForKey } from "./lib/key.js";
import { themeSwitch } from "./lib/theme_switch.js";
import { chat } from "./views/chat.js";
import { edit } from "./views/edit.js";
import { live } from "./views/live.js";
import { model } from "./views/model.js";
import { paint } from "./views/paint.js";
import { recognise } from "./views/recognise.js";
import { segment } from "./views/segment.js";
import { speak } from "./views/speak.js";

const GROUPS = [
  ["Talk", [chat, live]],
  ["Sound", [speak, recognise]],
  ["Pictures", [paint, edit, segment]],
  ["Machine", [model]],
];
const VIEWS = GROUPS.flatMap(([, views]) => views);
const TASKS = {
  thinker: "think",
  vision: "see",
  audio: "hear",
  talker: "speak",
  painter: "paint",
};

const main = document.getElementById("main");
const menu = document.getElementById("menu");
const drawer = document.getElementById("views");
const announcer = document.getElementById("announcer");
const links = new Map();
const sections = new Map();

/** What views know of their surroundings. */
const app = {
  model: { id: "", parts: [] },
  has: (part) => app.model.parts.includes(part),
  announce: (text) => {
    announcer.textContent = text;
  },
  /** Go to a view and hand it something, such as { picture: File }. */
  open(id, given) {
    location.hash = id;
    show(id);
    sections.get(id)?.receive?.(given);
  },
};

async function start() {
  onLocked(askForKey);
  menu.append(icon("menu"));
  document.getElementById("nav").append(...GROUPS.flatMap(group));
  document.getElementById("foot").append(h("p", { class: "served soft" }, "Connecting"), themeSwitch());
  menu.addEventListener("click", () => openMenu(!drawer.classList.contains("open")));
  document.addEventListener("keydown", (event) => event.key === "Escape" && openMenu(false));
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, (event) => event.preventDefault()); // a file beside its place opens nothing
  }
  document.addEventListener("click", (event) => event.target.closest(".rail") || openMenu(false));
  try {
    app.model = await servedModel();
  } catch (error) {
    main.replaceChildren(failure(error));
    return;
  }
  document.querySelector(".served").replaceChildren("Served here", h("b", {}, app.model.id));
  for (const view of VIEWS) markAbility(view);
  addEventListener("hashchange", () => {
    const id = location.hash.slice(1);
    if (id === "" || links.has(id)) show(id, true); // not for #main, which skips to the content
  });
  show(location.hash.slice(1));
}

/** The one model of this server; a server that tells no parts is taken at its word later on. */
async function servedModel() {
  const { data } = await (await call("v1/models")).json();
  const [first] = data;
  return { ...first, parts: first.parts ?? Object.keys(TASKS) };
}

function group([title, views]) {
  const heading = h("p", { id: `group-${title.toLowerCase()}` }, title);
  const items = views.map((view) => {
    const link = h("a", { href: `#${view.id}`, "data-hue": view.hue }, icon(view.icon), view.title);
    links.set(view.id, link);
    return h("li", {}, link);
  });
  return [heading, h("ul", { role: "list", "aria-labelledby": heading.id }, items)];
}

function missing(view) {
  return view.needs.filter((part) => !app.has(part));
}

function markAbility(view) {
  if (!missing(view).length) return;
  const link = links.get(view.id);
  link.classList.add("off");
  link.append(h("span", { class: "unseen" }, " (not available)"));
}

function show(wanted, focus = false) {
  const view = VIEWS.find((one) => one.id === wanted) ?? chat;
  for (const [id, section] of sections) {
    if (id !== view.id && !section.element.hidden) {
      section.element.hidden = true;
      section.closed?.();
    }
  }
  if (!sections.has(view.id)) {
    const section = missing(view).length ? { element: refusal(view) } : view.build(app);
    section.element.dataset.hue = view.hue;
    section.element.setAttribute("aria-label", view.title);
    section.element.hidden = true;
    main.append(section.element);
    sections.set(view.id, section);
  }
  const section = sections.get(view.id);
  if (section.element.hidden) {
    section.element.hidden = false;
    section.opened?.();
  }
  for (const [id, link] of links) {
    if (id === view.id) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.dataset.hue = view.hue;
  document.title = `${view.title} - Mingle`;
  document.getElementById("here").textContent = view.title;
  openMenu(false);
  if (focus) section.element.querySelector("h1").focus();
}

/** What stands in the place of a view that this model cannot do. */
function refusal(view) {
  const lacks = missing(view);
  const tasks = lacks.map((part) => TASKS[part]).join(" or ");
  return h(
    "section",
    { class: "view" },
    h("header", {}, h("h1", { tabindex: -1 }, view.title), h("p", {}, view.line)),
    h(
      "div",
      { class: "stage idle" },
      icon(view.icon),
      h("p", {}, `${app.model.id} has no ${lacks.join(" and no ")}, so it cannot ${tasks}.`),
      h(
        "p",
        { class: "small" },
        "Serve a model that has one: mingle serve --model NAME. What is known is listed by mingle models.",
      ),
    ),
  );
}

function failure(error) {
  const words = error instanceof ApiError ? error.message : String(error);
  return h(
    "section",
    { class: "view" },
    h("header", {}, h("h1", { tabindex: -1 }, "Mingle cannot start")),
    h("p", { class: "notice bad", role: "alert" }, words),
    h("p", {}, h("button", { type: "button", onclick: () => location.reload() }, icon("again"), "Try again")),
  );
}

function openMenu(open) {
  drawer.classList.toggle("open", open);
  menu.setAttribute("aria-expanded", String(open));
}

start();
