// What is shown comes in; files go out: a picture, a video, a document.

import { address, call, Refusal, save } from "./api.js";
import { paint } from "./overlay.js";

const DEFAULT_FILM_PLANES = 512;
const FILM_FRAMES = 240;
const [PNG_SCALE, PNG_GAP, PNG_LINE] = [2, 8, 26];

/**
 * @typedef {import("./player.js").Player} Player
 * @typedef {import("./types.js").Filter} Filter
 * @typedef {{start: number, planes: number}} Selection
 */

/**
 * The planes that a video shows: the loop, or else what begins with the window under the play head.
 * @param {Player} player
 * @returns {Selection}
 */
export function filmSelection(player) {
  const clock = /** @type {import("./clock.js").Clock} */ (player.clock);
  if (player.loop) return { start: player.loop[0], planes: player.loop[1] - player.loop[0] };
  const start = clock.windowStart(player.plane, player.model(player.models[0])?.window ?? player.window);
  return { start, planes: Math.min(DEFAULT_FILM_PLANES, clock.planes - start) };
}

/**
 * The windows that a document tells of, whole as the page shows them: all that the loop touches, or
 * else the one that is shown.
 * @param {Player} player
 * @returns {Selection | null} null: there is none
 */
export function documentSelection(player) {
  const clock = /** @type {import("./clock.js").Clock} */ (player.clock);
  const model = player.model(player.models[0]);
  if (!model) return null;
  if (!player.loop) {
    const { start } = player.sight(model);
    return start === null ? null : { start, planes: model.window };
  }
  const start = clock.windowStart(player.loop[0], model.window);
  const last = clock.windowStart(player.loop[1] - 1, model.window);
  const stop = Math.min(last + model.window, clock.planes);
  return stop - start < model.window ? null : { start, planes: stop - start };
}

/**
 * Save what is shown, both sides of a comparison, with a line under each and one under all.
 * @param {{scene: import("./overlay.js").Scene, words: string}[]} scenes
 * @param {string} words about the moment
 * @param {string} name
 */
export async function savePng(scenes, words, name) {
  const { width, height } = scenes[0].scene;
  const [wide, high] = [width * PNG_SCALE, height * PNG_SCALE];
  const sheet = document.createElement("canvas");
  sheet.width = wide * scenes.length + PNG_GAP * (scenes.length - 1);
  sheet.height = high + 2 * PNG_LINE;
  const context = /** @type {CanvasRenderingContext2D} */ (sheet.getContext("2d"));
  context.fillStyle = "#0b0f13";
  context.fillRect(0, 0, sheet.width, sheet.height);
  context.textBaseline = "middle";
  context.font = "600 15px system-ui, sans-serif";
  context.fillStyle = "#e6ebef";
  scenes.forEach(({ scene, words: found }, index) => {
    const picture = document.createElement("canvas");
    [picture.width, picture.height] = [wide, high];
    paint(picture, scene);
    const left = index * (wide + PNG_GAP);
    context.drawImage(picture, left, 0);
    context.fillText(found, left + 8, high + PNG_LINE / 2, wide - 16);
  });
  context.font = "15px system-ui, sans-serif";
  context.fillStyle = "#9aa8b4";
  context.fillText(words, 8, high + 1.5 * PNG_LINE, sheet.width - 16);
  const blob = await new Promise((resolve) => sheet.toBlob(resolve, "image/png"));
  if (blob) save(blob, `${name}.png`);
}

/**
 * @param {Player} player
 * @param {Filter} filter
 * @param {string} name
 */
export async function saveMp4(player, filter, name) {
  const { start, planes } = filmSelection(player);
  const step = Math.max(1, Math.ceil(planes / FILM_FRAMES));
  const shown = { start, planes, step, view: player.view, window: player.shownWindow };
  const { classes, ...wanted } = asked(player, filter);
  const boxes = classes.length ? { ...wanted, classes: named(player, classes) } : { boxes: "false" };
  const query = { ...shown, ...boxes };
  const answer = await call(address(`/v1/clips/${clipId(player)}/film`, query));
  save(await answer.blob(), `${name}.mp4`);
}

/**
 * @param {Player} player
 * @param {Filter} filter
 * @param {string} name
 */
export async function saveJson(player, filter, name) {
  const planes = documentSelection(player);
  if (!planes) throw new Refusal("There is no whole window to save.", 0);
  const { classes, ...wanted } = asked(player, filter);
  const window = player.model(player.models[0])?.window;
  const query = { ...planes, window, ...wanted, classes: named(player, classes) };
  const answer = await call(address("/v1/detect", query), {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ clip_id: player.introduction?.clip.id }),
  });
  if (answer.status === 202) {
    await call(answer.headers.get("Location") ?? "", { method: "DELETE" });
    throw new Refusal("That is too much for one file; choose fewer planes with A and B.", 202);
  }
  const told = await answer.json();
  if (!classes.length) told.detections = []; // no classes mean all of them to the service
  save(new Blob([JSON.stringify(told)], { type: "application/json" }), `${name}.json`);
}

/** @param {Player} player */
function clipId(player) {
  return encodeURIComponent(player.introduction?.clip.id ?? "");
}

/**
 * What is asked for beside planes: boxes of the classes that are shown, which may be none.
 * @param {Player} player
 * @param {Filter} filter
 */
function asked(player, filter) {
  const model = player.model(player.models[0]);
  const classes = model?.classes.filter((_, index) => !filter.hidden.has(index + 1)) ?? [];
  return { model: model?.name, conf: filter.confidence, classes };
}

/**
 * @param {Player} player
 * @param {string[]} classes
 */
function named(player, classes) {
  return classes.length === player.model(player.models[0])?.classes.length ? "" : classes.join(",");
}
