/** Bytes on their way: base64, files, PCM, WAV. */

/** Base64 -> bytes. */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Bytes -> base64. */
export function toBase64(bytes) {
  let text = "";
  for (let start = 0; start < bytes.length; start += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  }
  return btoa(text);
}

/** A file as a data: URL. */
export async function dataUrl(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  return `data:${file.type || "application/octet-stream"};base64,${toBase64(bytes)}`;
}

/** A base64 picture of the server as a file. */
export function pictureFile(base64, name, type = "image/png") {
  return new File([fromBase64(base64)], name, { type });
}

/** Samples in [-1, 1] -> little-endian 16-bit PCM. */
export function toPcm16(samples) {
  const view = new DataView(new ArrayBuffer(samples.length * 2));
  samples.forEach((sample, i) => {
    view.setInt16(i * 2, Math.round(Math.max(-1, Math.min(1, sample)) * 32767), true);
  });
  return new Uint8Array(view.buffer);
}

/** Little-endian 16-bit PCM -> samples in [-1, 1]. */
export function fromPcm16(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length >> 1 }, (_, i) => view.getInt16(i * 2, true) / 32768);
}

/** Chunks of samples -> one run. */
export function joined(chunks) {
  const whole = new Float32Array(chunks.reduce((total, chunk) => total + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** Samples as a mono WAV file. */
export function wavFile(samples, rate, name) {
  const head = new DataView(new ArrayBuffer(44));
  const size = samples.length * 2;
  const text = (at, word) => [...word].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + size, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); // PCM
  head.setUint16(22, 1, true); // mono
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * 2, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, size, true);
  return new File([head, toPcm16(samples)], name, { type: "audio/wav" });
}

/** What kind of medium a file is: image, audio, video, or null. */
export function kindOf(file) {
  const kind = file.type.split("/")[0];
  return ["image", "audio", "video"].includes(kind) ? kind : null;
}
