/** The markdown that models write, as elements. Nothing of it is ever read as HTML. */

import { h } from "./dom.js";
import { icon } from "./icons.js";

const INLINE =
  /(`+)([^`]+)\1|\*\*([^*]+)\*\*|__([^_]+)__|\*([^*\s][^*]*)\*|(?<![\w])_([^_\s][^_]*)_(?![\w])|\[([^\]]+)\]\(([^)\s]+)\)/g;
const BULLET = /^\s*[-*+]\s+(.*)$/;
const NUMBER = /^\s*(\d+)[.)]\s+(.*)$/;
const HEADING = /^(#{1,6})\s+(.*)$/;
const RULE = /^\s*([-*_])(\s*\1){2,}\s*$/;
const FENCE = /^\s*(```|~~~)\s*([\w+-]*)/;
const QUOTE = /^\s*>\s?(.*)$/;

/** Text -> block elements; an unfinished text gives what is there so far. */
export function markdown(text) {
  const lines = text.split("\n");
  const blocks = [];
  while (lines.length) {
    if (!lines[0].trim()) lines.shift();
    else blocks.push(block(lines));
  }
  return blocks;
}

/** Take one block from the head of the lines. */
function block(lines) {
  const [first] = lines;
  if (FENCE.test(first)) return code(lines);
  if (RULE.test(first)) return lines.shift() && h("hr");
  const heading = HEADING.exec(first);
  if (heading) return lines.shift() && h(`h${Math.min(4, heading[1].length + 1)}`, {}, inline(heading[2]));
  if (QUOTE.test(first)) return h("blockquote", {}, markdown(taken(lines, QUOTE, 1).join("\n")));
  if (BULLET.test(first))
    return h(
      "ul",
      {},
      taken(lines, BULLET, 1).map((item) => h("li", {}, inline(item))),
    );
  if (NUMBER.test(first)) {
    const start = NUMBER.exec(first)[1];
    return h(
      "ol",
      { start },
      taken(lines, NUMBER, 2).map((item) => h("li", {}, inline(item))),
    );
  }
  if (isTable(lines)) return table(lines);
  return paragraph(lines);
}

function taken(lines, pattern, group) {
  const found = [];
  while (lines.length && pattern.test(lines[0])) found.push(pattern.exec(lines.shift())[group]);
  return found;
}

function paragraph(lines) {
  const found = [lines.shift()];
  while (
    lines.length &&
    lines[0].trim() &&
    ![FENCE, HEADING, BULLET, NUMBER, QUOTE, RULE].some((p) => p.test(lines[0]))
  ) {
    found.push(lines.shift());
  }
  return h(
    "p",
    {},
    found.flatMap((line, i) => (i ? [h("br"), ...inline(line)] : inline(line))),
  );
}

function code(lines) {
  const fence = FENCE.exec(lines.shift());
  const found = [];
  while (lines.length && !lines[0].trim().startsWith(fence[1])) found.push(lines.shift());
  lines.shift();
  const text = found.join("\n");
  const copy = h(
    "button",
    {
      type: "button",
      class: "quiet small icon copy",
      "aria-label": "Copy the code",
      onclick: () => navigator.clipboard.writeText(text),
    },
    icon("copy"),
  );
  return h("pre", { tabindex: 0 }, h("code", {}, text), copy);
}

function isTable(lines) {
  return (
    lines.length > 1 &&
    lines[0].includes("|") &&
    /^[\s|:-]*-[\s|:-]*$/.test(lines[1]) &&
    lines[1].includes("|")
  );
}

function table(lines) {
  const cells = (line) =>
    line
      .trim()
      .replace(/^\||\|$/g, "")
      .split("|")
      .map((cell) => inline(cell.trim()));
  const head = cells(lines.shift());
  lines.shift();
  const rows = [];
  while (lines.length && lines[0].includes("|")) rows.push(cells(lines.shift()));
  return h(
    "table",
    {},
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        head.map((cell) => h("th", {}, cell)),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map((row) =>
        h(
          "tr",
          {},
          row.map((cell) => h("td", {}, cell)),
        ),
      ),
    ),
  );
}

/** Code, strong, emphasis and links within a line. */
function inline(text) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    found.push(text.slice(at, match.index), piece(match));
    at = match.index + match[0].length;
  }
  found.push(text.slice(at));
  return found.filter((part) => part !== "");
}

function piece([whole, , verbatim, strong, strong2, weak, weak2, words, address]) {
  if (verbatim) return h("code", {}, verbatim);
  if (strong ?? strong2) return h("strong", {}, inline(strong ?? strong2));
  if (weak ?? weak2) return h("em", {}, inline(weak ?? weak2));
  if (!/^https?:\/\//i.test(address)) return whole; // no javascript:, no data:
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, words);
}
