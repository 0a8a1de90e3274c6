// Planes come in; the sensor's time, and words for both, go out.

export const SLOWEST = 1 / 500;
export const SPEED_STEPS = 100;

/** Where planes lie in time: some may be lost, and their time passes all the same. */
export class Clock {
  /** @param {import("./types.js").Clip} clip */
  constructor(clip) {
    this.planes = clip.planes;
    this.rateHz = clip.rate_hz;
    this.holes = clip.holes;
  }

  /**
   * @param {number} plane
   * @returns {number} seconds since the first plane
   */
  seconds(plane) {
    let lost = 0;
    for (const [index, count] of this.holes) if (index <= plane) lost += count;
    return (plane + lost) / this.rateHz;
  }

  /**
   * @param {number} seconds
   * @returns {number} the plane that was read last at that time
   */
  planeAt(seconds) {
    let plane = Math.floor(seconds * this.rateHz + 1e-6);
    for (const [index, count] of this.holes) {
      if (plane >= index + count) plane -= count;
      else if (plane >= index) plane = index - 1;
    }
    return this.clamp(plane);
  }

  /** @param {number} plane */
  clamp(plane) {
    return Math.max(0, Math.min(Math.round(plane), this.planes - 1));
  }

  /**
   * The stretch without a gap that holds a plane.
   * @param {number} plane
   * @returns {[number, number]} its first plane, and one past its last
   */
  runAround(plane) {
    let first = 0;
    let last = this.planes;
    for (const [index] of this.holes) {
      if (index <= plane) first = Math.max(first, index);
      else last = Math.min(last, index);
    }
    return [first, last];
  }

  /**
   * The first plane of the window of detection that holds a plane.
   * @param {number} plane
   * @param {number} length
   */
  windowStart(plane, length) {
    const first = this.runAround(plane)[0];
    return first + Math.floor((plane - first) / length) * length;
  }

  /**
   * The window of detection that holds a plane, if the recording holds all of it.
   * @param {number} plane
   * @param {number} length
   * @returns {number | null} its first plane
   */
  wholeWindow(plane, length) {
    const start = this.windowStart(plane, length);
    return start + length <= this.runAround(plane)[1] ? start : null;
  }

  /**
   * Read what somebody typed: a plane, or a time with its unit. A comma groups thousands, as the
   * clock writes them, or is a decimal one.
   * @param {string} text
   * @returns {number | null} a plane
   */
  parse(text) {
    const isGrouped = /^\s*[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?\s*[a-zµ]*\s*$/i.test(text);
    const plain = text.replaceAll(",", isGrouped ? "" : ".");
    const match = /^\s*([0-9]*\.?[0-9]+)\s*(us|µs|ms|s)?\s*$/i.exec(plain);
    if (!match) return null;
    const value = Number(match[1]);
    if (!match[2]) return Number.isInteger(value) ? this.clamp(value) : null;
    const units = { us: 1e-6, "µs": 1e-6, ms: 1e-3, s: 1 };
    const unit = /** @type {keyof typeof units} */ (match[2].toLowerCase());
    return this.planeAt(value * units[unit]);
  }
}

/** @param {number} seconds */
export function formatTime(seconds) {
  if (seconds < 1) return `${(seconds * 1e3).toFixed(3)} ms`;
  return `${seconds.toFixed(4)} s`;
}

const COUNTS = new Intl.NumberFormat("en");

/** @param {number} value */
export function formatCount(value) {
  return COUNTS.format(value);
}

/**
 * @param {number} speed of the sensor's time
 * @returns {string}
 */
export function formatSpeed(speed) {
  const slower = 1 / speed;
  if (slower < 1.005) return "1 ×";
  return slower < 9.95 ? `1/${slower.toFixed(1)} ×` : `1/${slower.toFixed(0)} ×`;
}

/**
 * The slider's place for a speed; it is logarithmic.
 * @param {number} speed
 */
export function placeOfSpeed(speed) {
  return SPEED_STEPS * (1 - Math.log(speed) / Math.log(SLOWEST));
}

/** @param {number} place 0 to `SPEED_STEPS` */
export function speedOfPlace(place) {
  return Math.min(1, SLOWEST ** (1 - place / SPEED_STEPS));
}
