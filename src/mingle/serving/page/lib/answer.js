/** Asks the chat endpoint and sorts what streams back. */

import { call, events } from "./api.js";
import { fromBase64, fromPcm16 } from "./bytes.js";

const RATE = 24000; // of streamed pcm16

/** Pieces of an answer: { text, reasoning, samples and rate, transcript, finish, usage }, as they come. */
export async function* answerStream({ model, messages, thinking, spoken }, signal) {
  const asked = {
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    reasoning_effort: thinking ? "medium" : "none",
  };
  if (spoken) Object.assign(asked, { modalities: ["text", "audio"], audio: { format: "pcm16" } });
  const response = await call("v1/chat/completions", { json: asked, signal });
  for await (const { choices, usage } of events(response)) {
    const [choice] = choices;
    if (usage) yield { usage };
    if (choice) yield pieceOf(choice);
  }
}

function pieceOf({ delta, finish_reason: finish }) {
  const { content, reasoning_content: reasoning, audio } = delta;
  const sound = audio?.data ? { samples: fromPcm16(fromBase64(audio.data)), rate: RATE } : {};
  return { text: content, reasoning, transcript: audio?.transcript, finish, ...sound };
}
