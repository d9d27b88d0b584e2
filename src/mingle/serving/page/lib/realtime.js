/** A live conversation with the server: events over a WebSocket, with OpenAI's names. */

import { apiKey } from "./api.js";
import { dataUrl, fromBase64, fromPcm16, toBase64, toPcm16 } from "./bytes.js";

const RATE = 24000;
const MOST_WAITING = 1 << 20; // bytes not yet sent, at which pictures are left out
const FORMAT = { type: "audio/pcm", rate: RATE };
const FINAL = [1000, 1008, 1013]; // it ended, it was refused, there is no place
const RETRIES = 5; // after 0.5, 1, 2, 4 and 8 s

export class Realtime {
  /**
   * `spoken`: whether answers are; `handsFree`: whether the server hears where turns end.
   * `on` holds what to do: began, heard, asked, answered, sound, ended, failed, away, closed.
   */
  constructor(model, { spoken, handsFree, on }) {
    this.model = model;
    this.spoken = spoken;
    this.handsFree = handsFree;
    this.on = on;
    this.cut = new Set();
    this.told = new Set(); // answers of which words have come
    this.connect({ model });
  }

  connect(query) {
    const address = new URL(`v1/realtime?${new URLSearchParams(query)}`, document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    const key = apiKey() ? [`openai-insecure-api-key.${apiKey()}`] : [];
    this.socket = new WebSocket(address, ["realtime", ...key]);
    this.socket.onmessage = ({ data }) => this.take(JSON.parse(data));
    this.socket.onclose = ({ code, reason }) => this.lost(code, reason);
    this.socket.onopen = () => this.session && this.resumed();
  }

  /** The connection is gone; what was said goes on where it can be taken up again. */
  lost(code, reason) {
    this.tries = (this.tries ?? 0) + 1;
    if (FINAL.includes(code) || !this.session || this.tries > RETRIES) {
      this.on.closed(reason);
      return;
    }
    this.on.away();
    const query = { model: this.model, session: this.session, after: this.seen };
    this.waiting = setTimeout(() => this.connect(query), 250 * 2 ** this.tries);
  }

  resumed() {
    this.tries = 0;
    this.on.began();
  }

  /** Send 24 kHz samples of the microphone. */
  hear(samples) {
    this.send({ type: "input_audio_buffer.append", audio: toBase64(toPcm16(samples)) });
  }

  /** Send a picture of the camera, unless the line is slow. */
  async see(file) {
    if (this.socket.bufferedAmount > MOST_WAITING) return;
    const content = [{ type: "input_image", image_url: await dataUrl(file) }];
    this.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
  }

  /** The turn is over, says the user: answer. */
  ask() {
    this.send({ type: "input_audio_buffer.commit" });
    this.send({ type: "response.create" });
  }

  /** Stop the answer. */
  cancel() {
    if (this.answering) this.send({ type: "response.cancel" });
  }

  /** Tell how much of an answer was heard. */
  truncate(item, seconds) {
    this.cut.add(item);
    this.send({
      type: "conversation.item.truncate",
      item_id: item,
      content_index: 0,
      audio_end_ms: Math.round(seconds * 1000),
    });
  }

  close() {
    clearTimeout(this.waiting);
    this.socket.onclose = null;
    this.socket.close(1000);
  }

  send(event) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(event));
  }

  configure({ id }) {
    this.session = id;
    const turns = this.handsFree
      ? { type: "server_vad", create_response: true, interrupt_response: true }
      : null;
    const input = { format: FORMAT, transcription: {}, turn_detection: turns };
    this.send({
      type: "session.update",
      session: {
        type: "realtime",
        output_modalities: [this.spoken ? "audio" : "text"],
        audio: { input, output: { format: FORMAT } },
      },
    });
  }

  take(event) {
    const { on } = this;
    this.seen = Number(event.event_id?.split("_").at(-1)) || this.seen;
    switch (event.type) {
      case "session.created":
        return this.configure(event.session);
      case "session.updated":
        return on.began();
      case "input_audio_buffer.speech_started":
        return on.heard(true);
      case "input_audio_buffer.speech_stopped":
        return on.heard(false);
      case "conversation.item.input_audio_transcription.delta":
        return on.asked(event.item_id, event.delta, false);
      case "conversation.item.input_audio_transcription.completed":
        return on.asked(event.item_id, event.transcript, true);
      case "response.created":
        this.answering = true;
        return undefined;
      case "response.output_audio_transcript.delta":
      case "response.output_text.delta":
        this.told.add(event.item_id);
        return this.cut.has(event.item_id) || on.answered(event.item_id, event.delta);
      case "response.output_audio_transcript.done": // an answer without a letter has no sound
        return this.told.has(event.item_id) || on.answered(event.item_id, event.transcript);
      case "response.output_audio.delta":
        return (
          this.cut.has(event.item_id) || on.sound(event.item_id, fromPcm16(fromBase64(event.delta)), RATE)
        );
      case "response.done":
        this.answering = false;
        return on.ended(event.response.status_details?.error?.message);
      case "error":
        return on.failed(event.error);
      default:
        return undefined; // what the page has no use for
    }
  }
}
