/** The microphone as runs of mono samples at 24 kHz, 40 ms each. */

const RATE = 24000;
const RUN = 960;

class Tap extends AudioWorkletProcessor {
  constructor() {
    super();
    this.run = new Float32Array(RUN);
    this.filled = 0;
    this.sum = 0;
    this.count = 0;
    this.phase = 0;
  }

  process([input]) {
    for (const sample of input[0] ?? []) this.take(sample);
    return true;
  }

  /** Each output sample is the mean of the input samples that fall into its time. */
  take(sample) {
    this.sum += sample;
    this.count += 1;
    this.phase += RATE;
    if (this.phase < sampleRate) return;
    const mean = this.sum / this.count;
    for (; this.phase >= sampleRate; this.phase -= sampleRate) this.put(mean);
    this.sum = 0;
    this.count = 0;
  }

  put(sample) {
    this.run[this.filled++] = sample;
    if (this.filled < RUN) return;
    this.port.postMessage(this.run.slice());
    this.filled = 0;
  }
}

registerProcessor("tap", Tap);
