/** Takes one picture with the camera. */

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { openMedia } from "./microphone.js";

/** A JPEG of what the camera saw when the user pressed the button; null if the user closed it. */
export async function takePicture() {
  const stream = await openMedia({ video: { facingMode: "environment" } });
  const video = h("video", { autoplay: true, playsinline: true, "aria-label": "Camera" });
  video.muted = true;
  video.srcObject = stream;
  const dialog = h(
    "dialog",
    { "aria-label": "Take a picture" },
    h(
      "form",
      { method: "dialog" },
      video,
      h(
        "div",
        { class: "row" },
        h("button", { class: "quiet", value: "no" }, "Cancel"),
        h("button", { class: "primary", value: "yes" }, icon("camera"), "Take it"),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve));
  const file = dialog.returnValue === "yes" ? await still(video, 1280) : null;
  stream.getTracks().forEach((track) => track.stop());
  dialog.remove();
  return file;
}

/** What a video shows now, as a JPEG whose longer side is at most so many pixels; null before its first frame. */
export async function still(video, longest) {
  if (!video.videoWidth) return null;
  const scale = Math.min(1, longest / Math.max(video.videoWidth, video.videoHeight));
  const canvas = new OffscreenCanvas(
    Math.round(video.videoWidth * scale),
    Math.round(video.videoHeight * scale),
  );
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 });
  return new File([blob], "camera.jpg", { type: "image/jpeg" });
}
