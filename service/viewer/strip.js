// Firing rates over the whole recording, what was found, and the loop come in; a strip goes out.

import { visible } from "./boxes.js";
import { fit, styleOf } from "./overlay.js";

const MARK_HEIGHT = 6;
const BASE = 3; // of the lowest rate; both in pixels of the page
const LOWEST = 0.01;
const HIGHEST = 0.99; // of all rates: the scale lies between
const FLAT = 0.02; // rates that differ less are not blown up

/**
 * @typedef {object} Scene
 * @property {number} planes
 * @property {[number, number] | null} loop
 * @property {Iterable<import("./types.js").Sighting>} found
 * @property {boolean} isLookedAt whether anybody looks for objects at all
 * @property {import("./types.js").Filter} filter
 */

export class Strip {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    /** @type {number[]} */
    this.rates = [];
    /** @type {HTMLCanvasElement} all but what was found, painted only when it changes */
    this.ground = document.createElement("canvas");
    this.grounded = ""; // what it was painted of
  }

  clear() {
    this.rates = [];
    this.grounded = "";
  }

  /** @param {{first: number, columns: number, rates: number[]}} piece */
  add(piece) {
    if (this.rates.length !== piece.columns) this.rates = new Array(piece.columns).fill(NaN);
    piece.rates.forEach((rate, index) => (this.rates[piece.first + index] = rate));
    this.grounded = "";
  }

  /**
   * The rates at the lower and the upper edge, without the few that lie far off.
   * @returns {[number, number]}
   */
  get scale() {
    const sorted = this.rates.filter((rate) => !Number.isNaN(rate)).sort((a, b) => a - b);
    if (!sorted.length) return [0, 1];
    const at = (/** @type {number} */ share) => sorted[Math.round(share * (sorted.length - 1))];
    const [low, high] = [at(LOWEST), at(HIGHEST)];
    const missing = Math.max(0, (FLAT * (low + high)) / 2 - (high - low), 1e-9 - high);
    return [Math.max(0, low - missing / 2), high + missing / 2];
  }

  /**
   * @param {number} share of the recording
   * @returns {number} the rate there; NaN while it is not known
   */
  rateAt(share) {
    return this.rates[Math.min(this.rates.length - 1, Math.floor(share * this.rates.length))] ?? NaN;
  }

  /** @param {Scene} scene */
  paint(scene) {
    fit(this.canvas);
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    if (!context) return;
    this.paintGround(scene);
    context.clearRect(0, 0, width, height);
    context.drawImage(this.ground, 0, 0);
    if (scene.isLookedAt) this.paintFound(context, scene);
  }

  /**
   * Paint the loop, the rates and the hatching of what was not looked at yet.
   * @param {Scene} scene
   */
  paintGround({ planes, loop, isLookedAt }) {
    const { width, height } = this.canvas;
    const styles = getComputedStyle(this.canvas);
    const [soft, quiet] = ["--accent-soft", "--quiet"].map((name) => styles.getPropertyValue(name));
    const ratio = window.devicePixelRatio || 1;
    const key = JSON.stringify([width, height, ratio, soft, quiet, planes, loop, isLookedAt]);
    if (key === this.grounded) return;
    this.grounded = key;
    [this.ground.width, this.ground.height] = [width, height]; // which empties it
    const context = this.ground.getContext("2d");
    if (!context) return;
    if (loop) {
      context.fillStyle = soft;
      const [left, right] = loop.map((plane) => (plane / planes) * width);
      context.fillRect(left, 0, Math.max(2, right - left), height);
    }
    this.paintRates(context, quiet);
    if (isLookedAt) hatch(context, MARK_HEIGHT * ratio, quiet);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {string} colour
   */
  paintRates(context, colour) {
    const { width, height } = this.canvas;
    const ratio = window.devicePixelRatio || 1;
    const ground = height - (MARK_HEIGHT + 3) * ratio;
    const [low, high] = this.scale;
    const column = width / Math.max(1, this.rates.length);
    context.fillStyle = colour;
    for (const [index, rate] of this.rates.entries()) {
      if (Number.isNaN(rate)) continue;
      const share = Math.max(0, Math.min(1, (rate - low) / (high - low)));
      const size = (BASE + share * (ground / ratio - BASE - 4)) * ratio;
      const [left, right] = [Math.floor(index * column), Math.floor((index + 1) * column)];
      context.globalAlpha = 0.28;
      context.fillRect(left, ground - size, right - left, size);
      context.globalAlpha = 0.9;
      context.fillRect(left, ground - size, right - left, ratio);
    }
    context.globalAlpha = 1;
  }

  /**
   * Mark what was found; where nothing was, the hatching goes.
   * @param {CanvasRenderingContext2D} context
   * @param {Scene} scene
   */
  paintFound(context, { planes, found, filter }) {
    const { width, height } = this.canvas;
    const size = MARK_HEIGHT * (window.devicePixelRatio || 1);
    const top = height - size;
    for (const sighting of found) {
      const left = Math.floor((sighting.start / planes) * width);
      const wide = Math.max(1, Math.floor(((sighting.start + sighting.count) / planes) * width) - left);
      const boxes = visible(sighting, filter);
      context.clearRect(left, top, wide, size);
      if (!boxes.length) continue;
      context.fillStyle = styleOf(boxes[0][5]).colour;
      context.fillRect(left, top, wide, size);
    }
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} size
 * @param {string} colour
 */
function hatch(context, size, colour) {
  const top = context.canvas.height - size;
  context.beginPath();
  for (let x = -size; x < context.canvas.width; x += size) {
    context.moveTo(x, top + size);
    context.lineTo(x + size, top);
  }
  context.strokeStyle = colour;
  context.globalAlpha = 0.5;
  context.lineWidth = size / MARK_HEIGHT;
  context.stroke();
  context.globalAlpha = 1;
}
