/** Sound that is played while it is still being made. */

import { loudness } from "./microphone.js";

export class Playback {
  constructor() {
    this.context = new AudioContext();
    this.sources = new Set();
    this.next = 0;
    this.begun = null;
    this.given = 0;
    this.onIdle = () => {};
  }

  /** Until all is heard, or stopped. */
  rest() {
    return this.playing
      ? new Promise((resolve) => {
          this.rested = resolve;
        })
      : null;
  }

  /** Append samples in [-1, 1]. */
  push(samples, rate) {
    if (!samples.length) return;
    const buffer = this.context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    const now = this.context.currentTime;
    if (this.next < now) this.next = now + 0.04; // a little ahead, so that the first joints are seamless
    this.begun ??= this.next;
    this.sources.add({ source, start: this.next, end: this.next + buffer.duration, loud: loudness(samples) });
    source.onended = () => this.drop(source);
    source.start(this.next);
    this.next += buffer.duration;
    this.given += buffer.duration;
  }

  /** Seconds that were heard since the beginning or the last stop. */
  get played() {
    const left = [...this.sources].reduce(
      (total, { start, end }) => total + Math.max(0, end - Math.max(start, this.context.currentTime)),
      0,
    );
    return Math.max(0, this.given - left);
  }

  get playing() {
    return this.sources.size > 0;
  }

  /** How loud it is just now, 0 to 1. */
  get level() {
    const now = this.context.currentTime;
    return [...this.sources].find(({ start, end }) => start <= now && now < end)?.loud ?? 0;
  }

  /** Silence at once. Returns the seconds that were heard; counting begins anew. */
  stop() {
    const heard = this.played;
    for (const { source } of this.sources) {
      source.onended = null;
      source.stop();
    }
    this.sources.clear();
    this.rewind();
    this.rested?.();
    return heard;
  }

  /** What comes next is counted from 0. */
  rewind() {
    this.next = 0;
    this.given = [...this.sources].reduce((total, { source }) => total + source.buffer.duration, 0);
  }

  close() {
    this.stop();
    return this.context.close();
  }

  drop(ended) {
    for (const one of this.sources) if (one.source === ended) this.sources.delete(one);
    if (this.playing) return;
    this.rested?.();
    this.onIdle();
  }
}
