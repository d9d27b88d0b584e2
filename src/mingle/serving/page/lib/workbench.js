/** A view with a task: a form at the left, the work and its result at the right. */

import { h } from "./dom.js";
import { icon } from "./icons.js";

/**
 * `fields`: elements of the form; `action`: the button's words; `idle`: what the empty stage says;
 * `below`: what stands under the form; `run({ signal, show })` does the work, may show elements
 * meanwhile, and returns [elements, said].
 */
export function workbench(app, { view, fields, action, idle, run, below }) {
  const stage = h(
    "div",
    { class: "stage idle", role: "region", "aria-label": "Result", "aria-busy": "false" },
    icon(view.icon),
    h("p", {}, idle),
  );
  const go = h("button", { class: "primary", type: "submit" }, action);
  const stop = h(
    "button",
    { type: "button", hidden: true, onclick: () => work?.abort() },
    icon("stop"),
    "Stop",
  );
  const form = h("form", { novalidate: true }, fields, h("div", { class: "go" }, go, stop));
  let work = null;

  function show(...elements) {
    stage.className = "stage";
    stage.replaceChildren(...elements);
    stage.scrollIntoView({ block: "nearest" }); // on a phone it stands below the form
  }

  function wait() {
    const clock = h("p", { class: "figures" }, "Working");
    stage.className = "stage waiting";
    stage.replaceChildren(h("div", { class: "pulse", "aria-hidden": "true" }, h("i"), h("i"), h("i")), clock);
    const begun = performance.now();
    return setInterval(() => {
      clock.textContent = `Working, ${Math.round((performance.now() - begun) / 1000)} s`;
    }, 1000);
  }

  function busy(now) {
    go.disabled = now;
    stop.hidden = !now;
    stage.setAttribute("aria-busy", String(now));
    if (!now && document.activeElement === document.body) go.focus();
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    work = new AbortController();
    busy(true);
    app.announce(`${action}: working`);
    const clock = wait();
    try {
      const [elements, said] = await run({ signal: work.signal, show });
      show(...elements);
      app.announce(said);
    } catch (error) {
      if (error.name === "AbortError") show(h("p", { class: "notice" }, "Stopped."));
      else show(h("p", { class: "notice bad", role: "alert" }, error.message));
    } finally {
      clearInterval(clock);
      busy(false);
    }
  });

  const element = h(
    "section",
    { class: "view" },
    h("header", {}, h("h1", { tabindex: -1 }, view.title), h("p", {}, view.line)),
    h("div", { class: "bench" }, h("div", { class: "side" }, form, below), stage),
  );
  return { element };
}
