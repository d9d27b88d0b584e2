// What a test asks of every view: words that can be read, controls that have a name.

/** Words whose contrast with what is behind them is under 4.5 : 1 (WCAG AA). */
export function faintWords() {
  const paper = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    paper.clearRect(0, 0, 1, 1);
    paper.fillStyle = colour;
    paper.fillRect(0, 0, 1, 1);
    return [...paper.getImageData(0, 0, 1, 1).data];
  };
  const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const ratio = (element) => {
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(ground(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const hasWords = (element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  const left = "[disabled], .scene, .unseen, .tag"; // over pictures, unseen, or inactive
  return [...document.querySelectorAll("body *")]
    .filter((one) => hasWords(one) && one.offsetParent && !one.closest(left) && ratio(one) < 4.5)
    .map((one) => `${ratio(one).toFixed(2)} ${one.textContent.trim().slice(0, 40)}`);
}

/** Controls without a name that a screen reader could say. */
export function namelessControls() {
  const controls = "main button, main input, main select, main textarea, nav a";
  return [...document.querySelectorAll(controls)]
    .filter((one) => one.offsetParent && !one.ariaLabel && !one.labels?.length)
    .filter((one) => !one.textContent.trim())
    .map((one) => one.outerHTML);
}

/** Boxes that are wider than their place. */
export function overfull() {
  return [document.documentElement, ...document.querySelectorAll(".view:not([hidden])")]
    .filter((box) => box.scrollWidth > box.clientWidth)
    .map((box) => `${box.className}: ${box.scrollWidth} in ${box.clientWidth}`);
}
