// Firing rates over the whole recording, what was found, and the loop come in; a strip goes out.

import { visible } from "./boxes.js";
import { fit, styleOf } from "./overlay.js";

const MARK_HEIGHT = 5;
const HEADROOM = 0.8; // of the height for the highest rate

export class Strip {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    /** @type {number[]} */
    this.rates = [];
  }

  clear() {
    this.rates = [];
  }

  /** @param {{first: number, columns: number, rates: number[]}} piece */
  add(piece) {
    if (this.rates.length !== piece.columns) this.rates = new Array(piece.columns).fill(NaN);
    piece.rates.forEach((rate, index) => (this.rates[piece.first + index] = rate));
  }

  /**
   * @param {object} scene
   * @param {number} scene.planes
   * @param {[number, number] | null} scene.loop
   * @param {Iterable<import("./types.js").Sighting>} scene.found
   * @param {import("./types.js").Filter} scene.filter
   */
  paint({ planes, loop, found, filter }) {
    fit(this.canvas);
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    if (!context) return;
    const styles = getComputedStyle(this.canvas);
    context.clearRect(0, 0, width, height);
    if (loop) {
      context.fillStyle = styles.getPropertyValue("--accent-soft");
      const left = (loop[0] / planes) * width;
      context.fillRect(left, 0, Math.max(2, ((loop[1] - loop[0]) / planes) * width), height);
    }
    this.paintRates(context, styles.getPropertyValue("--quiet"));
    const marks = MARK_HEIGHT * (window.devicePixelRatio || 1);
    for (const sighting of found) {
      const boxes = visible(sighting, filter);
      if (!boxes.length) continue;
      context.fillStyle = styleOf(boxes[0][5]).colour;
      const left = (sighting.start / planes) * width;
      context.fillRect(left, height - marks, Math.max(1, (sighting.count / planes) * width), marks);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {string} colour
   */
  paintRates(context, colour) {
    const { width, height } = this.canvas;
    const ground = height - (MARK_HEIGHT + 3) * (window.devicePixelRatio || 1);
    const most = Math.max(1e-9, ...this.rates.filter((rate) => !Number.isNaN(rate)));
    context.fillStyle = colour;
    context.globalAlpha = 0.4;
    const column = width / Math.max(1, this.rates.length);
    context.beginPath();
    this.rates.forEach((rate, index) => {
      if (Number.isNaN(rate)) return;
      const size = (rate / most) * ground * HEADROOM;
      context.rect(index * column, ground - size, column + 0.5, size);
    });
    context.fill();
    context.globalAlpha = 1;
  }
}
