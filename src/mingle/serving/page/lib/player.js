/** A recording that can be looked at, played, searched and saved. */

import { fromPcm16, joined } from "./bytes.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

const SVG = "http://www.w3.org/2000/svg";
const BARS = 96;

/** The player of samples and of the file that holds them; `big` for a page of its own. */
export function player({ samples, file, label, big = false }) {
  const address = URL.createObjectURL(file);
  const audio = new Audio(address);
  const button = h(
    "button",
    { type: "button", class: "icon round", "aria-label": `Play ${label}` },
    icon("play"),
  );
  const clock = h("time", {}, seconds(0));
  const slider = h("input", {
    type: "range",
    min: 0,
    max: 1,
    step: 0.001,
    value: 0,
    "aria-label": `Position in ${label}`,
  });
  const wave = h("div", { class: "wave" }, shape(samples), shape(samples), slider);

  const show = () => {
    const share = audio.duration ? audio.currentTime / audio.duration : 0;
    wave.style.setProperty("--played", `${share * 100}%`);
    slider.value = share;
    slider.setAttribute("aria-valuetext", seconds(audio.currentTime));
    clock.textContent = seconds(audio.currentTime || audio.duration || 0);
  };
  const turn = () => {
    button.replaceChildren(icon(audio.paused ? "play" : "pause"));
    button.setAttribute("aria-label", `${audio.paused ? "Play" : "Pause"} ${label}`);
  };
  for (const event of ["timeupdate", "loadedmetadata", "seeked"]) audio.addEventListener(event, show);
  for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, turn);
  button.addEventListener("click", () => (audio.paused ? audio.play() : audio.pause()));
  slider.addEventListener("input", () => {
    audio.currentTime = slider.value * (audio.duration || 0);
  });
  const save = h(
    "a",
    { class: "button quiet icon", href: address, download: file.name, "aria-label": `Download ${label}` },
    icon("download"),
  );
  return h(
    "div",
    { class: big ? "player big" : "player", role: "group", "aria-label": label },
    button,
    wave,
    clock,
    big ? null : save,
  );
}

/** The samples of a sound file, mono, at the rate of the device that plays them. */
export async function samplesOf(file) {
  const context = new AudioContext();
  try {
    return (await context.decodeAudioData(await file.arrayBuffer())).getChannelData(0);
  } finally {
    await context.close();
  }
}

/** PCM that arrives in pieces of any length -> runs of samples; an odd byte waits for its other half. */
export class PcmReader {
  constructor() {
    this.rest = new Uint8Array(0);
    this.runs = [];
  }

  read(bytes) {
    const whole = new Uint8Array(this.rest.length + bytes.length);
    whole.set(this.rest);
    whole.set(bytes, this.rest.length);
    const even = whole.length & ~1;
    this.rest = whole.slice(even);
    const run = fromPcm16(whole.subarray(0, even));
    this.runs.push(run);
    return run;
  }

  get samples() {
    return joined(this.runs);
  }
}

/** Bars as loud as the sound, loudest to the full height. */
function shape(samples) {
  const step = Math.max(1, samples.length / BARS);
  const peaks = Array.from({ length: BARS }, (_, bar) => {
    let peak = 0;
    for (let i = Math.floor(bar * step); i < Math.min(samples.length, (bar + 1) * step); i += 1) {
      peak = Math.max(peak, Math.abs(samples[i]));
    }
    return peak;
  });
  const loudest = Math.max(...peaks) || 1;
  const bars = peaks.map((peak, x) => {
    const half = Math.max(0.5, (peak / loudest) * 46);
    return `M${x * 4 + 2} ${50 - half}V${50 + half}`;
  });
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", `0 0 ${BARS * 4} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", bars.join(""));
  svg.append(path);
  return svg;
}

function seconds(value) {
  const tenths = Math.round(value * 10);
  return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}
