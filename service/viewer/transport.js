// Messages of a replay come in over one WebSocket, which is opened again when it breaks.

import { unpack } from "./protocol.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const CREDITS = 3;
const FINAL_CODES = [4400, 4499]; // coming back will not help
const REFUSED = 1008;

/**
 * @typedef {object} Wait
 * @property {number} seconds until it is tried again
 * @property {number} failures in a row
 * @property {import("./types.js").ProblemNote | null} problem that the service had, if it said so
 *
 * @typedef {object} Listener
 * @property {(message: any) => void} onMessage a text message, parsed
 * @property {(frame: import("./types.js").Frame) => void} onFrame
 * @property {() => void} onOpen
 * @property {(wait: Wait) => void} onWait the connection broke; it is tried again
 * @property {(problem: import("./types.js").ProblemNote | null) => void} onEnd it is not tried again
 */

export class Transport {
  /**
   * @param {string} clipId
   * @param {Listener} listener
   */
  constructor(clipId, listener) {
    this.clipId = clipId;
    this.listener = listener;
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {import("./types.js").ProblemNote | null} */
    this.problem = null;
    this.failures = 0;
    this.timer = 0;
    this.isClosed = false;
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const path = `/v1/replay/${encodeURIComponent(this.clipId)}`;
    this.problem = null;
    const socket = new WebSocket(`${scheme}://${location.host}${path}`);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      this.grant(CREDITS);
      this.listener.onOpen();
    });
    socket.addEventListener("message", (event) => this.take(event.data));
    socket.addEventListener("close", (event) => this.ended(event.code));
    this.socket = socket;
  }

  /** @param {string | ArrayBuffer} data */
  take(data) {
    if (typeof data !== "string") {
      const frame = unpack(data);
      if (frame) this.listener.onFrame(frame);
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "problem") this.problem = message.problem;
    else this.failures = 0;
    this.listener.onMessage(message);
  }

  /** @param {number} code */
  ended(code) {
    if (this.isClosed) return;
    if ((code >= FINAL_CODES[0] && code <= FINAL_CODES[1]) || code === REFUSED) {
      this.isClosed = true;
      this.listener.onEnd(this.problem);
      return;
    }
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.failures, LONGEST_WAIT_MS);
    this.failures += 1;
    this.listener.onWait({ seconds: wait / 1000, failures: this.failures, problem: this.problem });
    this.timer = window.setTimeout(() => this.open(), wait);
  }

  /** @param {object} command */
  send(command) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(command));
  }

  /** @param {number} count pictures more that may be sent */
  grant(count) {
    this.send({ type: "credit", count });
  }

  close() {
    this.isClosed = true;
    window.clearTimeout(this.timer);
    this.socket?.close();
  }
}
