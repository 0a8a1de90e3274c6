// Packed planes come in; pictures of any moment among them go out, without asking the service.

/** @typedef {import("./types.js").View} View */

export const GAMMA = 2.2;
const MOST_IN_BYTE = 255;
const SPREAD = spread();

/** Every byte's eight bits as eight bytes, two words of them. */
function spread() {
  const bytes = new Uint8Array(256 * 8);
  for (let index = 0; index < bytes.length; index++) bytes[index] = ((index >> 3) >> (index & 7)) & 1;
  return new Uint32Array(bytes.buffer);
}

/**
 * The planes that a picture of one moment counts; as `span_around` of the service.
 * @param {import("./clock.js").Clock} clock
 * @param {View} view
 * @param {number} plane
 * @param {number} window
 * @returns {[number, number]} first plane, and how many
 */
export function spanAround(clock, view, plane, window) {
  if (view === "raw") return [plane, 1];
  const [first, last] = clock.runAround(plane);
  const count = Math.min(window, last - first);
  const start = Math.min(Math.max(first, plane - Math.floor(count / 2)), last - count);
  return [start, count];
}

/** Neighbouring planes, one bit per pixel: rows of whole bytes, the first pixel in the lowest bit. */
export class PlaneBlock {
  /** @param {import("./types.js").Frame} frame */
  constructor(frame) {
    this.start = frame.start;
    this.count = frame.count;
    this.width = frame.width;
    this.height = frame.height;
    this.bits = frame.payload;
    this.rowBytes = Math.ceil(frame.width / 8);
    this.planeBytes = this.rowBytes * frame.height;
  }

  /**
   * @param {number} start
   * @param {number} count
   */
  covers(start, count) {
    return start >= this.start && start + count <= this.start + this.count;
  }

  /**
   * Spikes of each pixel over some planes.
   * @param {number} start
   * @param {number} count
   * @returns {Uint16Array} row by row
   */
  counts(start, count) {
    const { width, height, rowBytes, planeBytes, bits } = this;
    const sums = new Uint16Array(rowBytes * 8 * height);
    const lanes = new Uint32Array(sums.length / 4); // four pixels each, a byte for each
    const few = new Uint8Array(lanes.buffer);
    const stop = start - this.start + count;
    for (let plane = start - this.start, held = 1; plane < stop; plane++, held++) {
      for (let byte = plane * planeBytes, lane = 0; lane < lanes.length; byte++, lane += 2) {
        lanes[lane] += SPREAD[2 * bits[byte]];
        lanes[lane + 1] += SPREAD[2 * bits[byte] + 1];
      }
      if (held % MOST_IN_BYTE && plane < stop - 1) continue;
      for (let pixel = 0; pixel < sums.length; pixel++) sums[pixel] += few[pixel];
      lanes.fill(0);
    }
    return rowBytes * 8 === width ? sums : cropped(sums, width, height, rowBytes * 8);
  }

  /**
   * One over the interval between the spikes around a moment; as `texture_from_intervals`.
   * @param {number} start
   * @param {number} count
   * @param {number} moment
   * @returns {Float32Array}
   */
  intervals(start, count, moment) {
    const { width, height, rowBytes, planeBytes, bits } = this;
    const light = new Float32Array(width * height);
    const offset = start - this.start;
    const middle = moment - start;
    for (let y = 0, pixel = 0; y < height; y++) {
      for (let x = 0; x < width; x++, pixel++) {
        const byte = offset * planeBytes + y * rowBytes + (x >> 3);
        const mask = 1 << (x & 7);
        let before = middle;
        while (before >= 0 && !(bits[byte + before * planeBytes] & mask)) before--;
        let after = middle + 1;
        while (after < count && !(bits[byte + after * planeBytes] & mask)) after++;
        if (before >= 0 || after < count) light[pixel] = 1 / (after - before);
      }
    }
    return light;
  }

  /**
   * Draw a moment.
   * @param {View} view
   * @param {number} moment
   * @param {number} start first plane that counts
   * @param {number} count
   * @param {{white: number, palette: [number, number, number][]}} look
   * @returns {ImageData}
   */
  draw(view, moment, start, count, look) {
    const image = new ImageData(this.width, this.height);
    const pixels = new Uint32Array(image.data.buffer);
    if (view === "tfi") {
      const light = this.intervals(start, count, moment);
      for (let i = 0; i < pixels.length; i++) pixels[i] = grey(level(light[i], look.white, GAMMA));
      return image;
    }
    const counts = this.counts(start, count);
    const table = new Uint32Array(count + 1);
    for (let spikes = 0; spikes <= count; spikes++) {
      table[spikes] = colour(view, spikes / count, look);
    }
    for (let i = 0; i < pixels.length; i++) pixels[i] = table[counts[i]];
    return image;
  }
}

/**
 * @param {View} view
 * @param {number} rate
 * @param {{white: number, palette: [number, number, number][]}} look
 */
function colour(view, rate, look) {
  if (view === "raw") return grey(rate ? 255 : 0);
  if (view === "tfp") return grey(level(rate, look.white, GAMMA));
  const [red, green, blue] = look.palette[level(rate, look.white, 1)];
  return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
}

/**
 * @param {number} light
 * @param {number} white
 * @param {number} gamma
 */
function level(light, white, gamma) {
  return Math.round(255 * Math.min(1, light / white) ** (1 / gamma));
}

/** @param {number} value */
function grey(value) {
  return (0xff000000 | (value << 16) | (value << 8) | value) >>> 0;
}

/**
 * @param {Uint16Array} sums
 * @param {number} width
 * @param {number} height
 * @param {number} stride
 */
function cropped(sums, width, height, stride) {
  const kept = new Uint16Array(width * height);
  for (let y = 0; y < height; y++) {
    kept.set(sums.subarray(y * stride, y * stride + width), y * width);
  }
  return kept;
}
