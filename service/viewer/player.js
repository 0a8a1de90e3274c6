// A viewer's wishes come in; the moment that is shown, and its picture, come out.
//
// While playing, the service draws. While standing still, the page fetches the planes around the
// play head and draws them itself: a step needs no answer from anybody.

import { BoxStore } from "./boxes.js";
import { Clock } from "./clock.js";
import { Connection } from "./connection.js";
import { Loop } from "./loop.js";
import { Queue } from "./queue.js";
import { Screen } from "./screen.js";
import { Supply } from "./supply.js";

const FPS = 60;

/**
 * @typedef {import("./types.js").View} View
 * @typedef {import("./types.js").Model} Model
 *
 * @typedef {object} Hooks
 * @property {() => void} onIntroduced
 * @property {() => void} onPicture another moment is shown
 * @property {() => void} onBoxes something was found
 * @property {() => void} onState playing, connected, grown
 * @property {(piece: any) => void} onStrip
 * @property {(model: string, ms: number) => void} onPace
 * @property {() => void} onPlay the play head begins to run, or runs from elsewhere
 * @property {(text: string) => void} onSay
 * @property {(problem: import("./types.js").ProblemNote | null) => void} onEnd
 */

export class Player {
  /**
   * @param {string} clipId
   * @param {Hooks} hooks
   * @param {number | null} seconds where to begin
   */
  constructor(clipId, hooks, seconds) {
    this.hooks = hooks;
    this.beginSeconds = seconds;
    /** @type {import("./types.js").Introduction | null} */
    this.introduction = null;
    /** @type {Clock | null} */
    this.clock = null;
    this.boxes = new BoxStore();
    this.plane = 0;
    this.isPlaying = false;
    this.hasEnded = false; // by itself, and nobody went elsewhere since
    this.resumes = false; // to play again once the service is back
    this.isFollowing = false;
    this.isScrubbing = false;
    /** @type {View} */
    this.view = "tfp";
    this.window = 64;
    this.speed = 1 / 333;
    /** @type {string[]} */
    this.models = [];
    this.ends = new Loop();
    this.screen = new Screen();
    this.queue = new Queue();
    this.generation = 0;
    this.sought = 0;
    this.acknowledged = -1;
    this.supply = new Supply(this);
    this.connection = new Connection(clipId, {
      onOpen: () => this.opened(),
      onMessage: (message) => this.hear(message),
      onFrame: (frame) => this.take(frame),
      onWait: () => this.waited(),
      onEnd: (problem) => hooks.onEnd(problem),
    });
  }

  close() {
    this.supply.stop();
    this.connection.close();
  }

  /** @param {string} name */
  model(name) {
    return this.introduction?.models.find((model) => model.name === name) ?? null;
  }

  /**
   * What a model found where the viewer looks.
   * @param {Model} model
   */
  sight(model) {
    const clock = /** @type {Clock} */ (this.clock);
    if (this.isFollowing) return this.boxes.newest(model, clock, this.moment);
    return this.boxes.at(model, clock, this.moment);
  }

  /** The moment that is shown: while a picture is on its way, not where the play head is. */
  get moment() {
    return this.screen.picture?.plane ?? this.plane;
  }

  /** The planes that a picture counts: by intervals, no more than the service takes. */
  get shownWindow() {
    const most = this.introduction?.most_interval_planes ?? this.window;
    return this.view === "tfi" ? Math.min(this.window, most) : this.window;
  }

  /** @returns {[number, number] | null} */
  get loop() {
    return this.clock && this.ends.range(this.clock.planes);
  }

  get canPlay() {
    return this.connection.isOpen && !this.connection.isStill;
  }

  opened() {
    this.isPlaying = this.resumes;
    this.resumes = false;
    if (this.introduction) {
      this.hooks.onSay("Connected again.");
      this.wish({ plane: this.plane });
    }
    this.hooks.onState();
  }

  waited() {
    this.resumes ||= this.isPlaying;
    this.isPlaying = false;
    this.hooks.onState();
  }

  /** @param {any} message */
  hear(message) {
    if (message.type === "now") this.acknowledged = message.generation;
    else if (message.type === "clip") this.introduced(message);
    else if (message.type === "strip") this.hooks.onStrip(message);
    else if (message.type === "pace") this.hooks.onPace(message.model, message.ms);
    else if (message.type === "problem") this.hooks.onSay(message.problem.detail);
    else if (message.type === "boxes") {
      this.boxes.add(message.model, message);
      this.hooks.onBoxes();
    } else if (message.type === "grown") this.grown(message);
    else if (message.type === "ended" && message.generation === this.generation) {
      this.isPlaying = false;
      this.hasEnded = true;
      if (this.clock) this.plane = this.clock.planes - 1;
      this.supply.settle();
      this.hooks.onSay("");
      this.hooks.onState();
    }
  }

  /** @param {import("./types.js").Introduction} introduction */
  introduced(introduction) {
    const isFirst = this.introduction === null;
    this.introduction = introduction;
    this.clock = new Clock(introduction.clip);
    this.boxes.clear();
    this.screen.block = null;
    if (isFirst) {
      this.models = introduction.models.slice(0, 1).map((model) => model.name);
      this.plane = this.beginSeconds === null ? 0 : this.clock.planeAt(this.beginSeconds);
      this.window = Math.min(this.window, introduction.clip.planes);
    }
    this.plane = this.clock.clamp(this.plane);
    if (!this.ends.fits(this.clock.planes)) this.ends = new Loop();
    this.hooks.onIntroduced();
    this.wish({ plane: this.plane });
  }

  /** @param {{planes: number, white: number, holes: [number, number][]}} message */
  grown({ planes, white, holes }) {
    if (!this.clock || !this.introduction) return;
    Object.assign(this.clock, { planes, holes });
    this.introduction.white = white;
    if (this.isPlaying && this.loop && this.ends.b === null) this.wish(); // it ends later now
    this.hooks.onState();
  }

  /**
   * Tell the service what is wanted from now on.
   * @param {{plane?: number, picture?: boolean}} [seek] a moment to go to; no picture: it is drawn here
   */
  wish({ plane, picture = true } = {}) {
    this.generation += 1;
    if (plane !== undefined || !picture) {
      this.sought = this.generation;
      this.queue.clear();
    }
    if (plane !== undefined) this.hasEnded = false;
    this.connection.send({
      type: "watch",
      generation: this.generation,
      plane: plane ?? null,
      playing: this.isPlaying,
      speed: this.speed,
      view: this.view,
      window: this.shownWindow,
      models: this.models,
      loop: this.loop,
      follow: this.isFollowing,
      fps: FPS,
      picture,
    });
    if (!this.isPlaying) this.supply.settle();
  }

  /** @param {import("./types.js").Frame} frame */
  take(frame) {
    if (this.screen.keep(frame)) {
      if (!this.isPlaying) this.drawHere();
      return;
    }
    const isUnseen = this.isStale || document.hidden;
    const source = isUnseen ? null : this.screen.develop(frame, this.look);
    this.queue.inTurn(async () => this.took(frame, await source));
  }

  /**
   * @param {import("./types.js").Frame} frame
   * @param {CanvasImageSource | null} source what it became, if anything
   */
  took(frame, source) {
    this.connection.grant(1);
    if (!source || this.isStale) return;
    this.queue.add({ source, view: frame.view, plane: frame.plane });
    if (!this.isPlaying || this.screen.isPainted) this.showNext();
  }

  showNext() {
    const picture = this.queue.next();
    if (!picture) return;
    this.screen.show(picture);
    if ((this.isPlaying || this.isFollowing) && !this.isScrubbing) this.plane = picture.plane;
    this.hooks.onPicture();
  }

  /** What is shown was painted: the next one's turn. */
  painted() {
    this.screen.isPainted = true;
    this.showNext();
  }

  /** Whether pictures on their way are older than what was asked for last. */
  get isStale() {
    return this.acknowledged < this.sought && !this.isScrubbing;
  }

  get look() {
    const introduction = /** @type {import("./types.js").Introduction} */ (this.introduction);
    return { white: introduction.white, palette: introduction.palette };
  }

  /** Draw the moment from planes that are here, if they are. */
  drawHere() {
    if (!this.clock) return false;
    const isDrawn = this.screen.draw(this.clock, this.view, this.plane, this.shownWindow, this.look);
    if (isDrawn) {
      this.queue.clear(); // whatever waits is older
      this.hooks.onPicture();
    }
    return isDrawn;
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    if (!this.clock || !this.canPlay) return;
    this.isPlaying = true;
    this.isFollowing = false;
    if (this.plane >= this.clock.planes - 1 && !this.loop) this.plane = 0;
    this.wish({ plane: this.plane });
    this.hooks.onPlay();
    this.hooks.onState();
  }

  /** @param {string} [reason] */
  pause(reason) {
    if (!this.isPlaying) return;
    this.isPlaying = false;
    this.wish({ plane: this.plane });
    this.hooks.onState();
    this.hooks.onSay(reason ?? "");
  }

  /** @param {number} plane */
  seek(plane) {
    if (!this.clock) return;
    const wasFollowing = this.isFollowing;
    this.isFollowing = false;
    this.plane = this.clock.clamp(plane);
    if (this.isPlaying) {
      this.wish({ plane: this.plane });
      this.hooks.onPlay();
      return;
    }
    const isDrawn = this.drawHere();
    this.wish({ plane: this.plane, picture: !isDrawn });
    if (!isDrawn || wasFollowing) this.hooks.onState();
  }

  /** @param {number} planes */
  step(planes) {
    if (this.isPlaying) this.pause();
    this.seek(this.plane + planes);
  }

  /** @param {number} windows of the detector */
  stepWindow(windows) {
    this.step(windows * (this.model(this.models[0])?.window ?? this.window));
  }

  /** @param {{view?: View, window?: number, speed?: number, models?: string[], ends?: Loop, follow?: boolean}} change */
  set(change) {
    if (change.view) this.view = change.view;
    if (change.window) this.window = change.window;
    if (change.speed) this.speed = change.speed;
    if (change.models) this.models = change.models;
    if (change.ends) this.ends = change.ends;
    if (change.follow !== undefined) this.follow(change.follow);
    const isDrawn = !this.isPlaying && !this.isFollowing && this.drawHere();
    this.wish({ picture: !isDrawn });
    this.hooks.onState();
  }

  /** @param {boolean} isFollowing */
  follow(isFollowing) {
    this.isFollowing = isFollowing;
    if (isFollowing) this.isPlaying = false;
  }
}
