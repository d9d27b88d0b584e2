// Texts as models write them, and the blocks that the page makes of them.

const HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) **b**";

const EVERY_BLOCK = `# Head
1. one
2. two

> quoted

\`\`\`py
<b>x</b>
\`\`\`

|a|b|
|-|-|
|1|2|

2 * 3 * 4 and snake_case_name`;

/** How many elements a hostile text made that could do anything, and what it made bold. */
export function hostile(markdown) {
  const box = document.createElement("div");
  box.append(...markdown(HOSTILE));
  return [box.querySelectorAll("img, a, script").length, box.querySelector("strong").textContent];
}

/** Tag and text of each block. */
export function blocks(markdown) {
  return markdown(EVERY_BLOCK).map((block) => [block.tagName, block.textContent]);
}
