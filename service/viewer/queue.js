// Pictures come in as they come; they go out in order, each for a frame of its own.
//
// As many come as there are frames, but less evenly: one that is early, or comes with others after
// a late one, waits.

/** @typedef {import("./screen.js").Picture} Picture */

const MOST = 4; // that wait; one more says that they come faster than frames

export class Queue {
  constructor() {
    /** @type {Picture[]} */
    this.waiting = [];
    /** @type {Promise<void>} done with those that came before */
    this.before = Promise.resolve();
  }

  /**
   * Do something once those that came before were dealt with: not all are decoded as quickly.
   * @param {() => Promise<void>} step
   */
  inTurn(step) {
    this.before = this.before.then(step).catch(reportError); // a failure stops nobody else
  }

  /** @param {Picture} picture */
  add(picture) {
    this.waiting.push(picture);
    if (this.waiting.length > MOST) drop(this.next());
  }

  next() {
    return this.waiting.shift() ?? null;
  }

  clear() {
    this.waiting.splice(0).forEach(drop);
  }
}

/** @param {Picture | null} picture that nobody will see */
function drop(picture) {
  if (picture?.source instanceof ImageBitmap) picture.source.close();
}
