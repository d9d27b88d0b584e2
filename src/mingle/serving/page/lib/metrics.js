/** Prometheus' text -> figures. */

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** All samples as { name, labels, value }. */
export function parse(text) {
  return text
    .split("\n")
    .map((line) => LINE.exec(line))
    .filter(Boolean)
    .map(([, name, labels, value]) => ({
      name,
      value: Number(value),
      labels: Object.fromEntries([...(labels ?? "").matchAll(LABEL)].map(([, key, word]) => [key, word])),
    }));
}

/** The sum of the samples of a name whose labels fit; null if the server tells of none. */
export function total(samples, name, labels = {}) {
  const found = samples.filter(
    (one) => one.name === name && Object.entries(labels).every(([key, word]) => one.labels[key] === word),
  );
  return found.length ? found.reduce((sum, one) => sum + one.value, 0) : null;
}
