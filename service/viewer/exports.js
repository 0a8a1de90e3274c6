// What is shown comes in; files go out: a picture, a video, a document.

import { address, call, Refusal, save } from "./api.js";
import { paint } from "./overlay.js";

const DEFAULT_FILM_PLANES = 512;
const FILM_FRAMES = 240;
const PNG_SCALE = 2;

/**
 * @typedef {import("./player.js").Player} Player
 * @typedef {import("./types.js").Filter} Filter
 */

/**
 * The planes that are saved: the loop, or else what lies around the play head.
 * @param {Player} player
 * @param {"film" | "document"} kind
 * @returns {{start: number, planes: number}}
 */
export function selection(player, kind) {
  const clock = /** @type {import("./clock.js").Clock} */ (player.clock);
  if (player.loop) return { start: player.loop[0], planes: player.loop[1] - player.loop[0] };
  const window = player.model(player.models[0])?.window ?? player.window;
  const start = clock.windowStart(player.plane, window);
  const wanted = kind === "film" ? DEFAULT_FILM_PLANES : window;
  return { start, planes: Math.min(wanted, clock.planes - start) };
}

/**
 * @param {import("./overlay.js").Scene} scene
 * @param {string} name
 */
export async function savePng(scene, name) {
  const canvas = document.createElement("canvas");
  canvas.width = scene.width * PNG_SCALE;
  canvas.height = scene.height * PNG_SCALE;
  paint(canvas, scene);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (blob) save(blob, `${name}.png`);
}

/**
 * @param {Player} player
 * @param {Filter} filter
 * @param {string} name
 */
export async function saveMp4(player, filter, name) {
  const { start, planes } = selection(player, "film");
  const step = Math.max(1, Math.ceil(planes / FILM_FRAMES));
  const shown = { start, planes, step, view: player.view, window: player.window };
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
  const { classes, ...wanted } = asked(player, filter);
  const query = { ...selection(player, "document"), ...wanted, classes: named(player, classes) };
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
