// Windows that the play head passes come in; the first one where something appears goes out.

import { visible } from "./boxes.js";

/**
 * @typedef {import("./types.js").Box} Box
 * @typedef {import("./player.js").Player} Player
 */

const LATE_WINDOWS = 16; // behind the play head, in which boxes may still arrive

export class Appearance {
  /** @param {import("./types.js").Filter} filter */
  constructor(filter) {
    this.filter = filter;
    this.begin = 0;
    /** @type {Set<number>} windows that were judged already */
    this.judged = new Set();
  }

  /**
   * From here on it is looked out for.
   * @param {Player} player
   */
  start(player) {
    const model = player.model(player.models[0]);
    this.begin = model && player.clock ? player.clock.windowStart(player.plane, model.window) : 0;
    this.judged.clear();
  }

  /**
   * Find what has appeared since the last look: a track that is new, or more of a class than in the
   * window before.
   * @param {Player} player
   * @returns {number | null} the first plane of the window where it did
   */
  next(player) {
    const { clock } = player;
    const model = player.model(player.models[0]);
    if (!clock || !model) return null;
    const length = model.window;
    const here = clock.windowStart(player.moment, length);
    if (here < this.begin) this.start(player); // a loop begins again
    const [first] = clock.runAround(here);
    const oldest = Math.max(first, this.begin, here - LATE_WINDOWS * length) + length;
    for (let start = oldest; start <= here; start += length) {
      const [before, now] = [start - length, start].map((at) => player.boxes.windows(model.name).get(at));
      if (!before || !now || this.judged.has(start)) continue;
      this.judged.add(start);
      if (hasRisen(visible(before, this.filter), visible(now, this.filter))) return start;
    }
    return null;
  }
}

/**
 * Whether something is in a window that was not in the one before. A track has its number from its
 * second window on: there, it is not new.
 * @param {Box[]} before
 * @param {Box[]} now
 */
export function hasRisen(before, now) {
  const known = new Set(before.map((box) => box[6]));
  return [...new Set(now.map((box) => box[5]))].some((category) => {
    const [earlier, later] = [before, now].map((boxes) => boxes.filter((box) => box[5] === category));
    const unnumbered = earlier.filter((box) => box[6] < 0).length;
    const fresh = later.filter((box) => box[6] >= 0 && !known.has(box[6])).length;
    return later.length > earlier.length || fresh > unnumbered;
  });
}
