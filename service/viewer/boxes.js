// Boxes of windows come in; those that the viewer's filter lets through go out, with their trails.

/**
 * @typedef {import("./types.js").Box} Box
 * @typedef {import("./types.js").Sighting} Sighting
 * @typedef {import("./types.js").Filter} Filter
 * @typedef {import("./types.js").Model} Model
 */

const KEPT_WINDOWS = 8192; // more than the service remembers to have sent
const TRAIL_WINDOWS = 16;
const MOST_BEHIND = 64; // windows; boxes older than these would lie beside their objects
const SAME_OBJECT = 0.5; // overlap

/**
 * @typedef {object} Look what a model has to say about a moment
 * @property {number | null} start first plane of its window; null where no whole window is
 * @property {Sighting | null} sighting null while it is not known
 */

/** What all models found, as far as the service has told. */
export class BoxStore {
  constructor() {
    /** @type {Map<string, Map<number, Sighting>>} */
    this.found = new Map();
  }

  /**
   * @param {string} model
   * @param {Sighting} sighting
   */
  add(model, sighting) {
    let windows = this.found.get(model);
    if (!windows) this.found.set(model, (windows = new Map()));
    windows.delete(sighting.start);
    windows.set(sighting.start, sighting);
    if (windows.size > KEPT_WINDOWS) windows.delete(/** @type {number} */ (windows.keys().next().value));
  }

  clear() {
    this.found.clear();
  }

  /**
   * @param {string} model
   * @returns {Map<number, Sighting>}
   */
  windows(model) {
    return this.found.get(model) ?? new Map();
  }

  /**
   * What a model found around a plane.
   * @param {Model} model
   * @param {import("./clock.js").Clock} clock
   * @param {number} plane
   * @returns {Look}
   */
  at(model, clock, plane) {
    const start = clock.wholeWindow(plane, model.window);
    const sighting = start === null ? null : (this.windows(model.name).get(start) ?? null);
    return { start, sighting };
  }

  /**
   * What a model found last before a plane: at the end of a recording that grows, the window
   * around it is hardly ever whole, or looked at.
   * @param {Model} model
   * @param {import("./clock.js").Clock} clock
   * @param {number} plane
   * @returns {Look}
   */
  newest(model, clock, plane) {
    const here = this.at(model, clock, plane);
    const first = clock.runAround(plane)[0];
    const last = clock.windowStart(plane, model.window);
    const oldest = Math.max(first, last - MOST_BEHIND * model.window);
    for (let start = last; start >= oldest; start -= model.window) {
      const sighting = this.windows(model.name).get(start);
      if (sighting) return { start, sighting };
    }
    return here.start === null && last > first ? { start: last - model.window, sighting: null } : here;
  }

  /**
   * Where the objects of a window were before: centres by track, the latest last.
   * @param {Model} model
   * @param {number} start of the window
   * @param {Filter} filter
   * @returns {Map<number, [number, number][]>}
   */
  trails(model, start, filter) {
    const windows = this.windows(model.name);
    /** @type {Map<number, [number, number][]>} */
    const trails = new Map();
    let oldest = start; // numbers hold as far as every window is known
    while (oldest > start - TRAIL_WINDOWS * model.window && windows.has(oldest - model.window)) {
      oldest -= model.window;
    }
    for (let at = oldest; at <= start; at += model.window) {
      for (const box of windows.get(at)?.boxes ?? []) {
        if (box[6] < 0 || filter.hidden.has(box[5])) continue;
        const trail = trails.get(box[6]) ?? [];
        trail.push([box[0] + box[2] / 2, box[1] + box[3] / 2]);
        trails.set(box[6], trail);
      }
    }
    return trails;
  }
}

/**
 * @param {Sighting | null} sighting
 * @param {Filter} filter
 * @returns {Box[]}
 */
export function visible(sighting, filter) {
  if (!sighting) return [];
  return sighting.boxes.filter((box) => box[4] >= filter.confidence && !filter.hidden.has(box[5]));
}

/**
 * Boxes that have no partner of their class among the others.
 * @param {Box[]} boxes
 * @param {Box[]} others
 * @returns {Set<Box>}
 */
export function disagreeing(boxes, others) {
  const free = new Set(others);
  /** @type {Set<Box>} */
  const alone = new Set();
  for (const box of boxes) {
    let best = null;
    let most = SAME_OBJECT;
    for (const other of free) {
      const overlap = other[5] === box[5] ? iou(box, other) : 0;
      if (overlap >= most) [best, most] = [other, overlap];
    }
    if (best) free.delete(best);
    else alone.add(box);
  }
  return alone;
}

/**
 * @param {Box} a
 * @param {Box} b
 */
function iou(a, b) {
  const width = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  return (width * height) / (a[2] * a[3] + b[2] * b[3] - width * height);
}
