/** The server's public endpoints, and nothing else. */

const KEPT = "mingle-key";
let askForKey = async () => null;

/** What a refused request says; `status` 0 means that the server was not reached. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Name who asks the user for an API key when the server wants one. */
export function onLocked(ask) {
  askForKey = ask;
}

/** The API key of this tab, "" if none was needed. */
export function apiKey() {
  return sessionStorage.getItem(KEPT) ?? "";
}

/** Send a request; `json` or `form` is its body. Throws ApiError with the server's own words. */
export async function call(path, { method, json, form, signal } = {}) {
  const body = json ? JSON.stringify(json) : form;
  const headers = { ...(json && { "Content-Type": "application/json" }), ...bearer() };
  const options = { method: method ?? (body ? "POST" : "GET"), headers, body, signal };
  const response = await fetch(path, options).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached. Is it still running?", 0);
  });
  if (response.status === 401) {
    const key = await askForKey();
    if (key === null) throw new ApiError("The server wants an API key.", 401);
    sessionStorage.setItem(KEPT, key);
    return call(path, { method, json, form, signal });
  }
  if (!response.ok) throw new ApiError(await reason(response), response.status);
  return response;
}

/** The server-sent events of a response, each parsed as JSON, until [DONE]. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (waiting + value).split(/\r?\n\r?\n/);
    waiting = blocks.pop();
    for (const block of blocks) {
      const data = block
        .split(/\r?\n/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trim())
        .join("\n");
      if (data === "[DONE]") return;
      if (!data) continue;
      const event = JSON.parse(data);
      if (event.error) throw new ApiError(event.error.message, response.status);
      yield event;
    }
  }
}

/** A multipart form of the fields that have a value; lists are repeated. */
export function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") form.append(name, one);
    }
  }
  return form;
}

function bearer() {
  return apiKey() ? { Authorization: `Bearer ${apiKey()}` } : {};
}

async function reason(response) {
  const told = await response.json().catch(() => null);
  return told?.error?.message ?? `The server answered ${response.status} ${response.statusText}.`;
}
