// Questions to the service come in; its answers, or one sentence on what went wrong, come out.

/**
 * @typedef {object} ClipNote
 * @property {string} id
 * @property {string} name
 * @property {number} size_bytes
 * @property {string} created
 * @property {string[]} warnings
 * @property {{width: number, height: number, planes: number, rate_hz: number, layout: string, flip: string}} clip
 *
 * @typedef {object} Geometry
 * @property {string} layout
 * @property {number} width
 * @property {number} height
 * @property {string} flip
 * @property {number} planes
 * @property {number} trailing_bytes
 * @property {number} likeness
 * @property {string} picture
 */

/** What the service refused, in its own words. */
export class Refusal extends Error {
  /**
   * @param {string} message
   * @param {number} status 0: it did not answer
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const NO_ANSWER = "The service does not answer. Is it still running?";

/**
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} [query] empty values are left out
 */
export function address(path, query = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

/**
 * @param {string} url
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
export async function call(url, options = {}) {
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    throw new Refusal(NO_ANSWER, 0);
  }
  if (response.status === 401) location.reload(); // the page that asks for a key comes instead
  if (!response.ok) throw new Refusal(sentence(await response.text()), response.status);
  return response;
}

/**
 * Read the beginning of a file.
 * @param {File} file
 * @param {number} bytes
 * @returns {Promise<ArrayBuffer>}
 */
export async function read(file, bytes) {
  try {
    return await file.slice(0, bytes).arrayBuffer();
  } catch {
    throw new Refusal(`“${file.name}” can no longer be read; it was moved, changed or deleted.`, 0);
  }
}

/** @returns {Promise<ClipNote[]>} */
export async function listClips() {
  return (await (await call("/v1/clips")).json()).clips;
}

/** @param {string} id */
export async function deleteClip(id) {
  await call(`/v1/clips/${encodeURIComponent(id)}`, { method: "DELETE" });
}

/**
 * Ways to read a file that was not sent yet, by its first bytes.
 * @param {File} file
 * @param {Record<string, string | number>} options
 * @returns {Promise<Geometry[]>}
 */
export async function guessGeometry(file, options) {
  const url = address("/v1/geometries", { size_bytes: file.size, ...options });
  const body = await read(file, 4 << 20);
  const headers = { "Content-Type": "application/octet-stream" };
  return (await (await call(url, { method: "POST", body, headers })).json()).geometries;
}

/**
 * @param {string} id
 * @param {Record<string, string | number>} options
 * @returns {Promise<Geometry[]>}
 */
export async function listGeometries(id, options) {
  const url = address(`/v1/clips/${encodeURIComponent(id)}/geometries`, options);
  return (await (await call(url)).json()).geometries;
}

/**
 * @param {string} id
 * @param {Record<string, string | number>} options
 */
export async function settleGeometry(id, options) {
  await call(address(`/v1/clips/${encodeURIComponent(id)}`, options), { method: "PATCH" });
}

/**
 * Send a file; `fetch` cannot say how much has gone.
 * @param {File} file
 * @param {Record<string, string | number>} options
 * @param {(share: number) => void} report
 * @param {AbortSignal} signal
 * @returns {Promise<ClipNote>}
 */
export function sendClip(file, options, report, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address("/v1/clips", { name: file.name, ...options }));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => report(event.loaded / event.total));
    request.addEventListener("error", () => {
      read(file, 1).then(() => reject(new Refusal(NO_ANSWER, 0)), reject);
    });
    request.addEventListener("abort", () => reject(new Refusal("Sending was cancelled.", 0)));
    request.addEventListener("load", () => {
      if (request.status === 201) resolve(JSON.parse(request.responseText));
      else reject(new Refusal(sentence(request.responseText), request.status));
    });
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/** @param {string} text of a problem document */
function sentence(text) {
  try {
    return capitalised(JSON.parse(text).detail);
  } catch {
    return "The service failed; its log says why.";
  }
}

/**
 * Make a sentence of words; a file's name stays as it is.
 * @param {string} text
 */
export function capitalised(text) {
  const trimmed = text.trim();
  const isName = /^\S*[._\d/\\]\S/.test(trimmed);
  const first = trimmed.charAt(0);
  const end = /[.?!]$/.test(trimmed) ? "" : ".";
  return `${isName ? first : first.toUpperCase()}${trimmed.slice(1)}${end}`;
}

/**
 * Let the browser save something.
 * @param {Blob} blob
 * @param {string} name
 */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
