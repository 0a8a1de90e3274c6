// A player's moment comes in; pictures, captions, table and strip show it.

import { disagreeing, visible } from "./boxes.js";
import { fit, paint } from "./overlay.js";
import * as panels from "./panels.js";
import { Strip } from "./strip.js";

/**
 * @typedef {import("./types.js").Box} Box
 * @typedef {import("./types.js").Model} Model
 * @typedef {import("./player.js").Player} Player
 *
 * @typedef {object} Found
 * @property {Box[]} boxes of the model
 * @property {Box[]} others of the one beside it
 * @property {boolean} isKnown whether the model has looked at this window
 * @property {string} words
 */

/** @type {Set<Box>} */
const NONE = new Set();

export class Stage {
  /** @param {import("./types.js").Filter} filter */
  constructor(filter) {
    this.filter = filter;
    this.strip = new Strip(panels.canvas("strip"));
    /** @type {Map<string, number>} milliseconds of a window, by model */
    this.paces = new Map();
    /** @type {Player | null} */
    this.player = null;
    this.isDue = false;
    this.isStripDue = false;
    new ResizeObserver(() => this.redraw(true)).observe(panels.element("stage"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw(true));
  }

  /** @param {Player | null} player */
  show(player) {
    this.player = player;
    this.strip.clear();
    this.paces.clear();
  }

  /**
   * Paint before the browser's next frame, once, however often it is asked.
   * @param {boolean} [withStrip]
   */
  redraw(withStrip = false) {
    this.isStripDue ||= withStrip;
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.draw();
    });
  }

  /**
   * What the chosen models found at this moment, as far as the filter lets it through.
   * @returns {Found}
   */
  found() {
    const { player, filter } = this;
    if (!player?.clock) return { boxes: [], others: [], isKnown: false, words: "" };
    const [model, beside] = player.models.map((name) => player.model(name));
    const sighting = model ? player.boxes.at(model, player.clock, player.plane) : null;
    const boxes = visible(sighting, filter);
    const others = beside ? visible(player.boxes.at(beside, player.clock, player.plane), filter) : [];
    const looking = model ? "still looking" : "";
    const words = sighting ? panels.countWords(boxes, model?.classes ?? []) : looking;
    return { boxes, others, isKnown: sighting !== null, words };
  }

  draw() {
    const { player } = this;
    if (!player?.introduction || !player.clock) return;
    const { boxes, others } = this.found();
    const isCompared = player.models.length > 1;
    const alone = isCompared ? disagreeing(boxes, others) : NONE;
    const otherAlone = isCompared ? disagreeing(others, boxes) : NONE;
    const count = alone.size + otherAlone.size;
    const words = isCompared ? (count ? `${count} differ` : "both agree") : "";
    this.drawSide("a", player.model(player.models[0]), boxes, alone, words);
    if (isCompared) this.drawSide("b", player.model(player.models[1]), others, otherAlone, words);
    panels.listFound(boxes, alone, player.model(player.models[0])?.classes ?? []);
    panels.showTransport(player);
    if (this.isStripDue) this.drawStrip(player, player.clock.planes);
  }

  /**
   * @param {"a" | "b"} side
   * @param {Model | null} model
   * @param {Box[]} boxes
   * @param {Set<Box>} alone
   * @param {string} words
   */
  drawSide(side, model, boxes, alone, words) {
    const screen = panels.canvas(`canvas-${side}`);
    fit(screen);
    paint(screen, this.scene(model, boxes, alone));
    const count = model ? ` of ${model.name}: ${panels.countWords(boxes, model.classes)}` : "";
    if (screen.ariaLabel !== `Picture with boxes${count}`) screen.ariaLabel = `Picture with boxes${count}`;
    panels.showCaption(`caption-${side}`, model, this.paces.get(model?.name ?? ""), words);
  }

  /**
   * @param {Player} player
   * @param {number} planes
   */
  drawStrip(player, planes) {
    this.isStripDue = false;
    const found = player.boxes.windows(player.models[0] ?? "").values();
    this.strip.paint({ planes, loop: player.loop, found, filter: this.filter });
  }

  /**
   * @param {Model | null} model
   * @param {Box[]} boxes
   * @param {Set<Box>} alone
   * @returns {import("./overlay.js").Scene}
   */
  scene(model, boxes, alone) {
    const player = /** @type {Player} */ (this.player);
    const clip = /** @type {import("./types.js").Introduction} */ (player.introduction).clip;
    const start = model && player.clock ? player.clock.windowStart(player.plane, model.window) : 0;
    const hasTrails = model && panels.input("show-trails").checked;
    return {
      picture: player.screen.picture?.source ?? null,
      width: clip.width,
      height: clip.height,
      isExact: player.view === "raw",
      isMoving: player.isPlaying,
      boxes,
      alone,
      trails: hasTrails ? player.boxes.trails(model, start, this.filter) : new Map(),
      classes: model?.classes ?? [],
      showLabels: panels.input("show-labels").checked,
    };
  }

  /** What is shown of the first model, to be saved. */
  sceneNow() {
    const { player } = this;
    return this.scene(player?.model(player.models[0]) ?? null, this.found().boxes, NONE);
  }
}
