// Where no socket works: single pictures over HTTP, in the words of the transport.

import { address, call, Refusal } from "./api.js";
import { PICTURE } from "./protocol.js";

const [MOST_INTERVAL_PLANES, MOST_INTERVAL_BYTES] = [512, 64 << 20]; // as the service's

export class StillTransport {
  /**
   * @param {string} clipId
   * @param {import("./transport.js").Listener} listener
   */
  constructor(clipId, listener) {
    this.path = `/v1/clips/${encodeURIComponent(clipId)}`;
    this.listener = listener;
    this.sequence = 0;
    this.plane = 0;
    this.isClosed = false;
    void this.introduce();
  }

  async introduce() {
    try {
      const note = await (await call(this.path)).json();
      if (this.isClosed) return;
      const clip = { ...note.clip, id: note.id, name: note.name, holes: [], warnings: note.warnings };
      this.listener.onOpen();
      const most = Math.floor(MOST_INTERVAL_BYTES / (clip.width * clip.height));
      const intervals = { most_interval_planes: Math.max(1, Math.min(MOST_INTERVAL_PLANES, most)) };
      const known = { models: [], white: 1, palette: [], lowest_score: 0.05, most_packed_bytes: 0 };
      const introduction = { clip: { ...clip, is_in_place: false }, ...known, ...intervals };
      this.listener.onMessage({ type: "clip", ...introduction });
    } catch (error) {
      this.listener.onEnd(problemOf(error));
    }
  }

  /** @param {any} command only a wish for a picture can be fulfilled */
  async send(command) {
    if (command.type !== "watch" || this.isClosed) return;
    const { view, generation } = command;
    this.plane = command.plane ?? this.plane;
    this.listener.onMessage({ type: "now", generation });
    if (!command.picture) return;
    const [plane, sequence] = [this.plane, ++this.sequence];
    const url = address(`${this.path}/frame`, { plane, view, window: view === "raw" ? "" : command.window });
    try {
      const answer = await call(url, { headers: { Accept: "image/jpeg" } });
      const payload = new Uint8Array(await answer.arrayBuffer());
      if (this.isClosed || sequence !== this.sequence) return; // a later picture was asked for
      const size = { width: 0, height: 0 };
      this.listener.onFrame({ kind: PICTURE, view, sequence, plane, start: plane, count: 1, ...size, payload });
    } catch (error) {
      this.listener.onMessage({ type: "problem", problem: problemOf(error) });
    }
  }

  /** @param {number} _count */
  grant(_count) {}

  close() {
    this.isClosed = true;
  }
}

/**
 * @param {unknown} error
 * @returns {import("./types.js").ProblemNote}
 */
function problemOf(error) {
  if (!(error instanceof Refusal)) throw error;
  return { title: "", detail: error.message, status: error.status };
}
