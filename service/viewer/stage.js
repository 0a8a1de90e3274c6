// A player's moment comes in; pictures, captions, table and strip show it.

import { disagreeing, visible } from "./boxes.js";
import { formatCount } from "./clock.js";
import { showEnds } from "./marks.js";
import { fit, paintMarks, paintPicture } from "./overlay.js";
import * as panels from "./panels.js";
import { Strip } from "./strip.js";

/**
 * @typedef {import("./types.js").Box} Box
 * @typedef {import("./types.js").Model} Model
 * @typedef {import("./player.js").Player} Player
 *
 * @typedef {object} Side one model's share of the moment
 * @property {Model | null} model
 * @property {number | null} start of the window that it looked at; null: there is no whole one
 * @property {boolean} isKnown whether it has looked
 * @property {Box[]} boxes that the filter lets through
 * @property {Set<Box>} alone those that the other side does not have
 */

export class Stage {
  /** @param {import("./types.js").Filter} filter */
  constructor(filter) {
    this.filter = filter;
    this.strip = new Strip(panels.canvas("strip"));
    /** @type {Map<string, number>} milliseconds of a window, by model */
    this.paces = new Map();
    /** @type {Map<HTMLCanvasElement, unknown>} what each canvas was painted of last */
    this.painted = new Map();
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
    panels.listFound([]);
    this.painted.clear();
    for (const side of ["a", "b"]) {
      const screen = panels.canvas(`canvas-${side}`);
      for (const canvas of [screen, panels.canvas(`marks-${side}`)]) canvas.width = 0; // which empties it
      delete screen.dataset.plane;
      panels.showCaption(`caption-${side}`, null, undefined, []);
    }
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
   * @returns {Side[]} one, or two that are compared
   */
  sides() {
    const { player } = this;
    if (!player?.clock) return [];
    const sides = player.models.map((name) => this.side(player, player.model(name)));
    if (sides.length < 2) return sides.length ? sides : [this.side(player, null)];
    const [a, b] = sides;
    a.alone = disagreeing(a.boxes, b.boxes);
    b.alone = disagreeing(b.boxes, a.boxes);
    return sides;
  }

  /**
   * @param {Player} player
   * @param {Model | null} model
   * @param {import("./boxes.js").Look} [look] by default at the moment that is shown
   * @returns {Side}
   */
  side(player, model, look = model ? player.sight(model) : { start: null, sighting: null }) {
    const boxes = visible(look.sighting, this.filter);
    return { model, start: look.start, isKnown: look.sighting !== null, boxes, alone: new Set() };
  }

  /**
   * Say what one side found.
   * @param {Side} side
   */
  words({ model, start, isKnown, boxes }) {
    if (!model) return "";
    if (start === null) return "no whole window here";
    if (!isKnown) return "still looking";
    const count = panels.countWords(boxes, model.classes);
    return this.player?.isFollowing ? `${count} in ${panels.planesWords(start, model.window)}` : count;
  }

  draw() {
    const { player } = this;
    if (!player?.introduction || !player.clock) return;
    const sides = this.sides();
    for (const name of ["a", "b"].slice(0, sides.length)) fit(panels.canvas(`marks-${name}`));
    const count = sides.reduce((sum, side) => sum + side.alone.size, 0);
    const words = sides.length > 1 ? (count ? `${count} differ` : "both agree") : "";
    sides.forEach((side, index) => this.drawSide(index ? "b" : "a", side, words));
    panels.listFound(sides);
    panels.showTransport(player);
    if (this.isStripDue) this.drawStrip(player, player.clock.planes);
    player.painted();
  }

  /**
   * @param {"a" | "b"} name
   * @param {Side} side
   * @param {string} words on both sides together
   */
  drawSide(name, side, words) {
    const { model } = side;
    const [screen, marks] = [panels.canvas(`canvas-${name}`), panels.canvas(`marks-${name}`)];
    const scene = this.scene(side);
    const picture = this.player?.screen.picture ?? null;
    if (this.isNew(screen, picture)) paintPicture(screen, scene);
    if (this.isNew(marks, keyOf(scene, marks))) paintMarks(marks, scene);
    if (picture) Object.assign(screen.dataset, { plane: String(picture.plane), view: picture.view });
    const found = model ? ` of ${model.name}: ${this.words(side)}` : "";
    if (screen.ariaLabel !== `Picture with boxes${found}`) screen.ariaLabel = `Picture with boxes${found}`;
    const ms = this.paces.get(model?.name ?? "");
    const said = model ? [words, this.place(side)] : ["no model"];
    panels.showCaption(`caption-${name}`, model, ms, said);
  }

  /**
   * Whether a canvas was painted of something else.
   * @param {HTMLCanvasElement} canvas
   * @param {unknown} source
   */
  isNew(canvas, source) {
    if (this.painted.has(canvas) && this.painted.get(canvas) === source) return false;
    this.painted.set(canvas, source);
    return true;
  }

  /**
   * Say which planes boxes belong to, where that is not plain.
   * @param {Side} side
   */
  place({ model, start }) {
    if (start === null || !model) return "no whole window here";
    return this.player?.isFollowing ? panels.planesWords(start, model.window) : "";
  }

  /**
   * @param {Player} player
   * @param {number} planes
   */
  drawStrip(player, planes) {
    this.isStripDue = false;
    const found = player.boxes.windows(player.models[0] ?? "").values();
    const isLookedAt = player.models.length > 0;
    this.strip.paint({ planes, loop: player.loop, found, isLookedAt, filter: this.filter });
    showEnds(player);
    const rateHz = player.clock?.rateHz ?? 0;
    const [low, high] = this.strip.scale.map((rate) => `${formatCount(Math.round(rate * rateHz))} /s`);
    panels.setText("strip-low", this.strip.rates.length ? low : "");
    panels.setText("strip-high", this.strip.rates.length ? high : "");
  }

  /**
   * Say what is known about a plane: how much fires there, and what was found.
   * @param {number} plane
   */
  wordsAt(plane) {
    const { player } = this;
    if (!player?.clock) return "";
    const rate = this.strip.rateAt((plane + 0.5) / player.clock.planes) * player.clock.rateHz;
    const words = Number.isNaN(rate) ? [] : [`${formatCount(Math.round(rate))} spikes/s`];
    const model = player.model(player.models[0]);
    if (model) {
      const side = this.side(player, model, player.boxes.at(model, player.clock, plane));
      words.push(side.isKnown || side.start === null ? this.words(side) : "not looked at yet");
    }
    return words.join(" · ");
  }

  /**
   * @param {Side} side
   * @returns {import("./overlay.js").Scene}
   */
  scene({ model, start, boxes, alone }) {
    const player = /** @type {Player} */ (this.player);
    const clip = /** @type {import("./types.js").Introduction} */ (player.introduction).clip;
    const hasTrails = model && start !== null && panels.input("show-trails").checked;
    return {
      picture: player.screen.picture?.source ?? null,
      plane: player.screen.picture?.plane ?? player.plane,
      width: clip.width,
      height: clip.height,
      isExact: player.view === "raw",
      boxes,
      alone,
      trails: hasTrails ? player.boxes.trails(model, start, this.filter) : new Map(),
      classes: model?.classes ?? [],
      showLabels: panels.input("show-labels").checked,
    };
  }

  /**
   * What is shown, to be saved: every side's scene, and a line about it.
   * @returns {{scene: import("./overlay.js").Scene, words: string}[]}
   */
  scenes() {
    return this.sides().map((side) => {
      const said = [side.model?.name, this.words(side)].filter(Boolean);
      return { scene: this.scene(side), words: said.join(": ") };
    });
  }
}

/**
 * All that marks are painted of.
 * @param {import("./overlay.js").Scene} scene
 * @param {HTMLCanvasElement} canvas
 */
function keyOf({ picture, width, height, boxes, alone, trails, showLabels }, canvas) {
  const marks = boxes.map((box) => [box, alone.has(box), trails.get(box[6])]);
  return JSON.stringify([!picture, width, height, canvas.width, canvas.height, showLabels, marks]);
}
