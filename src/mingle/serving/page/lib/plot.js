/** A small plot of the last values. */

const SVG = "http://www.w3.org/2000/svg";

export class Plot {
  constructor(length = 60) {
    this.length = length;
    this.values = [];
    this.element = document.createElementNS(SVG, "svg");
    this.element.setAttribute("viewBox", "0 0 100 100");
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("aria-hidden", "true");
    this.under = this.element.appendChild(document.createElementNS(SVG, "path"));
    this.under.setAttribute("class", "under");
    this.line = this.element.appendChild(document.createElementNS(SVG, "path"));
  }

  push(value) {
    this.values = [...this.values, value].slice(-this.length);
    const highest = Math.max(...this.values) || 1;
    const step = 100 / (this.length - 1);
    const start = 100 - (this.values.length - 1) * step;
    const points = this.values.map(
      (one, i) => `${(start + i * step).toFixed(2)} ${(98 - (one / highest) * 94).toFixed(2)}`,
    );
    this.line.setAttribute("d", `M${points.join("L")}`);
    this.under.setAttribute("d", `M${start.toFixed(2)} 100L${points.join("L")}L100 100z`);
  }
}
