// Pictures and planes come in; the picture of the moment that is shown comes out.

import { PLANES } from "./protocol.js";
import { PlaneBlock, spanAround } from "./planes.js";

/**
 * @typedef {import("./types.js").View} View
 * @typedef {import("./types.js").Frame} Frame
 * @typedef {{white: number, palette: [number, number, number][]}} Look
 *
 * @typedef {object} Picture
 * @property {CanvasImageSource} source
 * @property {View} view
 * @property {number} plane
 */

export class Screen {
  constructor() {
    /** @type {Picture | null} */
    this.picture = null;
    this.isPainted = true;
    /** @type {PlaneBlock | null} planes around the play head, to step through */
    this.block = null;
    this.canvas = document.createElement("canvas");
  }

  /**
   * Keep planes that were fetched; a raw plane that is to be shown is none of them.
   * @param {Frame} frame
   * @returns {boolean} whether these were such planes
   */
  keep(frame) {
    if (frame.kind !== PLANES || (frame.view === "raw" && frame.count === 1)) return false;
    this.block = new PlaneBlock(frame);
    return true;
  }

  /**
   * @param {number} start
   * @param {number} count
   */
  has(start, count) {
    return this.block?.covers(start, count) ?? false;
  }

  /**
   * Decode what the service has drawn.
   * @param {Frame} frame
   * @param {Look} look
   * @returns {Promise<CanvasImageSource | null>} null where it cannot be decoded
   */
  async develop(frame, look) {
    if (frame.kind === PLANES) {
      const block = new PlaneBlock(frame);
      return createImageBitmap(block.draw("raw", frame.start, frame.start, 1, look));
    }
    const payload = /** @type {BlobPart} */ (frame.payload);
    return createImageBitmap(new Blob([payload], { type: "image/jpeg" })).catch(() => null);
  }

  /**
   * Draw a moment from planes that are here.
   * @param {import("./clock.js").Clock} clock
   * @param {View} view
   * @param {number} plane
   * @param {number} window
   * @param {Look} look
   * @returns {boolean} whether they are
   */
  draw(clock, view, plane, window, look) {
    const [start, count] = spanAround(clock, view, plane, window);
    if (!this.block || !this.has(start, count)) return false;
    const source = this.onCanvas(this.block.draw(view, plane, start, count, look));
    this.show({ source, view, plane });
    return true;
  }

  /** @param {Picture} picture */
  show(picture) {
    const old = this.picture?.source;
    if (old instanceof ImageBitmap && old !== picture.source) old.close();
    this.picture = picture;
    this.isPainted = false;
  }

  /** @param {ImageData} image */
  onCanvas(image) {
    this.canvas.width = image.width;
    this.canvas.height = image.height;
    this.canvas.getContext("2d")?.putImageData(image, 0, 0);
    return this.canvas;
  }
}
