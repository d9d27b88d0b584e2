/** The microphone: runs of samples while it is open, and a button that records a file. */

import { joined, wavFile } from "./bytes.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

const RATE = 24000;

/** Open microphone (and camera); throws an Error that says what the user can do. */
export async function openMedia(wanted) {
  if (!navigator.mediaDevices) {
    throw new Error(
      "The browser gives no microphone or camera to pages that are neither https nor localhost.",
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia(wanted);
  } catch (error) {
    const what = wanted.video ? (wanted.audio ? "camera and microphone" : "camera") : "microphone";
    const refused = error.name === "NotAllowedError";
    throw new Error(
      refused
        ? `The ${what} was not allowed; allow it in the browser's address bar.`
        : `The ${what} cannot be opened: ${error.message}`,
    );
  }
}

/** Hear a stream: `onRun(samples)` gets 40 ms at a time, 24 kHz mono. Call the result to stop. */
export async function tap(stream, onRun) {
  const context = new AudioContext();
  await context.audioWorklet.addModule(new URL("tap.worklet.js", import.meta.url));
  const node = new AudioWorkletNode(context, "tap", {
    numberOfOutputs: 0,
    channelCount: 1,
    channelCountMode: "explicit",
  });
  node.port.onmessage = ({ data }) => onRun(data);
  context.createMediaStreamSource(stream).connect(node);
  await context.resume();
  return () => {
    node.port.onmessage = null;
    return context.close();
  };
}

/** How loud a run is, 0 to 1, with whispers made visible. */
export function loudness(samples) {
  const power = samples.reduce((total, sample) => total + sample * sample, 0) / samples.length;
  return Math.min(1, Math.sqrt(power) * 4);
}

/** A button: press to record, press again, and `onFile` gets a WAV file. */
export function recordButton({ label, onFile, onError, style = "" }) {
  const words = h("span", { class: "word" }, label);
  const button = h(
    "button",
    { type: "button", class: style, "aria-pressed": "false", "aria-label": label },
    icon("mic"),
    words,
  );
  let end = null;

  async function begin() {
    const stream = await openMedia({ audio: true });
    const runs = [];
    const stop = await tap(stream, (run) => {
      runs.push(run);
      words.textContent = `${(runs.length * 0.04).toFixed(1)} s`;
    });
    return async () => {
      await stop();
      stream.getTracks().forEach((track) => track.stop());
      if (runs.length) onFile(wavFile(joined(runs), RATE, "recording.wav"));
    };
  }

  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      if (end) await end();
      end = end ? null : await begin();
    } catch (error) {
      onError(error);
    }
    const recording = end !== null;
    button.disabled = false;
    button.classList.toggle("recording", recording);
    button.setAttribute("aria-pressed", String(recording));
    button.setAttribute("aria-label", recording ? "Stop recording" : label);
    if (!recording) words.textContent = label;
  });
  return button;
}
