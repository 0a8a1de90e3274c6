// A clip's name comes in; the way to the service goes out: a socket, or stills where none works.

import { call } from "./api.js";
import { StillTransport } from "./still.js";
import { Transport } from "./transport.js";

const OFTEN = 2; // failures in a row, before it is asked whether only sockets fail

export class Connection {
  /**
   * @param {string} clipId
   * @param {import("./transport.js").Listener} listener
   */
  constructor(clipId, listener) {
    this.clipId = clipId;
    this.listener = listener;
    this.isOpen = false;
    this.isStill = false;
    this.words = ""; // why not everything works, if so
    this.hasHeard = false;
    this.isAsking = false;
    this.isClosed = false;
    this.owed = 0;
    this.seen = () => this.repay();
    document.addEventListener("visibilitychange", this.seen);
    /** @type {import("./transport.js").Listener} */
    this.heard = {
      ...listener,
      onMessage: (message) => this.hear(message),
      onOpen: () => this.opened(),
      onWait: (wait) => this.waited(wait),
    };
    /** @type {Transport | StillTransport | null} */
    this.way = null;
    if ("WebSocket" in window) this.way = new Transport(clipId, this.heard);
    else this.fallBack("This browser has no WebSocket");
  }

  /** @param {any} message */
  hear(message) {
    this.hasHeard ||= message.type !== "problem";
    this.listener.onMessage(message);
  }

  opened() {
    this.isOpen = true;
    this.owed = 0;
    if (!this.isStill) this.words = "";
    this.listener.onOpen();
  }

  /** @param {import("./transport.js").Wait} wait */
  waited(wait) {
    this.isOpen = false;
    const reason = wait.problem?.detail ?? "the service is gone";
    const when = wait.seconds < 1 ? "" : ` in ${Math.round(wait.seconds)} s`;
    this.words = `${reason.charAt(0).toUpperCase()}${reason.slice(1)}. Trying again${when}.`;
    this.listener.onWait(wait);
    if (!this.hasHeard && !wait.problem && wait.failures >= OFTEN) void this.doubtSockets();
  }

  /** Ask over HTTP: where that is answered, sockets alone do not get through. */
  async doubtSockets() {
    if (this.isAsking) return;
    this.isAsking = true;
    const answer = await call(`/v1/clips/${encodeURIComponent(this.clipId)}`).catch(() => null);
    this.isAsking = false;
    if (answer && !this.hasHeard && !this.isClosed) this.fallBack("Sockets to the service fail here");
  }

  /** @param {string} reason */
  fallBack(reason) {
    this.way?.close();
    this.isStill = true;
    this.words = `${reason}: stills only, without boxes.`;
    this.way = new StillTransport(this.clipId, this.heard);
  }

  /** @param {object} command */
  send(command) {
    void this.way?.send(command);
  }

  /**
   * Allow pictures more; while nobody looks at the page, the service may rest.
   * @param {number} count
   */
  grant(count) {
    this.owed += count;
    this.repay();
  }

  /** Grant what was held back while the page was hidden. */
  repay() {
    if (document.hidden || !this.owed) return;
    this.way?.grant(this.owed);
    this.owed = 0;
  }

  close() {
    this.isClosed = true;
    document.removeEventListener("visibilitychange", this.seen);
    this.way?.close();
  }
}
