// For browsers without WebSocket: single pictures over HTTP, in the words of the transport.

import { address, call, Refusal } from "./api.js";
import { PICTURE } from "./protocol.js";

export class StillTransport {
  /**
   * @param {string} clipId
   * @param {import("./transport.js").Listener} listener
   */
  constructor(clipId, listener) {
    this.path = `/v1/clips/${encodeURIComponent(clipId)}`;
    this.listener = listener;
    this.sequence = 0;
    this.isClosed = false;
    void this.introduce();
  }

  async introduce() {
    try {
      const note = await (await call(this.path)).json();
      const clip = { ...note.clip, id: note.id, name: note.name, holes: [], warnings: note.warnings };
      this.listener.onOpen();
      const known = { models: [], white: 1, palette: [], lowest_score: 0.05, most_packed_bytes: 0 };
      this.listener.onMessage({ type: "clip", clip: { ...clip, is_in_place: false }, ...known });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const problem = { title: "", detail: error.message, status: error.status };
      this.listener.onEnd(problem);
    }
  }

  /** @param {any} command only a wish for a picture can be fulfilled */
  async send(command) {
    if (command.type !== "watch" || !command.picture || this.isClosed) return;
    const view = command.view === "heat" ? "tfp" : command.view;
    const window = view === "raw" ? "" : command.window;
    const plane = command.plane ?? 0;
    const url = address(`${this.path}/frame`, { plane, view, window });
    this.listener.onMessage({ type: "now", generation: command.generation });
    const answer = await call(url, { headers: { Accept: "image/jpeg" } }).catch(() => null);
    if (!answer || this.isClosed) return;
    const payload = new Uint8Array(await answer.arrayBuffer());
    const sequence = this.sequence++;
    const size = { width: 0, height: 0 };
    this.listener.onFrame({ kind: PICTURE, view, sequence, plane, start: plane, count: 1, ...size, payload });
  }

  /** @param {number} _count */
  grant(_count) {}

  close() {
    this.isClosed = true;
  }
}
