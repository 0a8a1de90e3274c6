// Settings and what was found come in; the controls beside the picture show them.

import { formatCount, formatSpeed, formatTime, placeOfSpeed } from "./clock.js";
import { labelOf, styleOf } from "./overlay.js";

/**
 * @typedef {import("./types.js").Box} Box
 * @typedef {import("./types.js").Model} Model
 * @typedef {import("./player.js").Player} Player
 */

const MOST_WINDOW = 1024; // planes that the slider goes up to

/** @param {string} id */
export function element(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** @param {string} id */
export function input(id) {
  return /** @type {HTMLInputElement} */ (document.getElementById(id));
}

/** @param {string} id */
export function select(id) {
  return /** @type {HTMLSelectElement} */ (document.getElementById(id));
}

/** @param {string} id */
export function canvas(id) {
  return /** @type {HTMLCanvasElement} */ (document.getElementById(id));
}

/**
 * Show which models there are.
 * @param {Model[]} models
 * @param {string[]} chosen
 */
export function listModels(models, chosen) {
  const options = models.map(({ name }) => new Option(name, name, false, name === chosen[0]));
  const beside = models.map(({ name }) => new Option(name, name, false, name === chosen[1]));
  select("model").replaceChildren(...options, new Option("none", "", false, !chosen.length));
  select("compare").replaceChildren(new Option("nothing", "", false, chosen.length < 2), ...beside);
}

/**
 * Show a switch per class.
 * @param {string[]} classes
 * @param {Set<number>} hidden
 * @param {() => void} changed
 */
export function listClasses(classes, hidden, changed) {
  const field = element("classes");
  const legend = /** @type {Element} */ (field.querySelector("legend"));
  const chips = classes.map((name, index) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = !hidden.has(index + 1);
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(index + 1);
      else hidden.add(index + 1);
      changed();
    });
    label.append(box, swatch(index + 1), name);
    return label;
  });
  field.replaceChildren(legend, ...chips);
}

/** @param {number} category */
function swatch(category) {
  const { colour, dash } = styleOf(category);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 10");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", "M0 5h20");
  line.setAttribute("stroke", colour);
  line.setAttribute("stroke-dasharray", dash.join(" ") || "none");
  svg.append(line);
  return svg;
}

/** @param {Player} player */
export function showTransport(player) {
  const { clock } = player;
  if (!clock) return;
  const seek = input("seek");
  if (seek.max !== String(clock.planes - 1)) seek.max = String(clock.planes - 1);
  if (!player.isScrubbing) seek.value = String(player.plane);
  const time = formatTime(clock.seconds(player.plane));
  seek.setAttribute("aria-valuetext", `plane ${player.plane}, ${time}`);
  setText("clock-time", time);
  setText("clock-plane", `plane ${formatCount(player.plane)} of ${formatCount(clock.planes)}`);
}

/** @param {Player} player */
export function showSettings(player) {
  const { clock, introduction } = player;
  element("play").setAttribute("aria-pressed", String(player.isPlaying));
  const speed = input("speed");
  speed.value = String(placeOfSpeed(player.speed));
  setText("speed-value", formatSpeed(player.speed));
  speed.setAttribute("aria-valuetext", `${formatSpeed(player.speed)} of real time`);
  select("view").value = player.view;
  showWindow(player);
  for (const end of /** @type {const} */ (["a", "b"])) {
    element(`loop-${end}`).setAttribute("aria-pressed", String(player.ends[end] !== null));
  }
  input("loop-off").disabled = player.loop === null;
  select("model").value = player.models[0] ?? "";
  select("compare").value = player.models[1] ?? "";
  select("compare").disabled = !player.models.length || player.connection.isStill;
  input("save-json").disabled = !player.models.length;
  input("follow").checked = player.isFollowing;
  element("legend").hidden = player.view !== "heat";
  if (introduction && clock) {
    setText("legend-top", `${formatCount(Math.round(introduction.white * clock.rateHz))} spikes/s`);
  }
}

/**
 * Say what does not work while the service cannot be heard, and switch it off.
 * @param {Player} player
 */
export function showConnection({ connection, canPlay }) {
  element("connection").hidden = !connection.words;
  setText("connection", connection.words);
  input("play").disabled = !canPlay;
  for (const id of ["speed", "model", "confidence", "pause-on-detection"]) {
    input(id).disabled = connection.isStill;
  }
  const heat = /** @type {HTMLOptionElement} */ (select("view").querySelector("[value=heat]"));
  heat.disabled = connection.isStill;
}

/** @param {Player} player */
function showWindow(player) {
  const { clock } = player;
  if (!clock) return;
  const slider = input("window");
  const mostIntervals = player.introduction?.most_interval_planes ?? MOST_WINDOW;
  const most = Math.min(player.view === "tfi" ? mostIntervals : MOST_WINDOW, clock.planes);
  if (slider.max !== String(most)) slider.max = String(most);
  const planes = player.shownWindow;
  slider.value = String(planes);
  slider.disabled = player.view === "raw";
  setText("window-value", `${planes} = ${((planes / clock.rateHz) * 1e3).toFixed(2)} ms`);
  slider.setAttribute("aria-valuetext", `${planes} planes`);
}

/**
 * Say who looks, and what it costs.
 * @param {string} id of the caption
 * @param {Model | null} model
 * @param {number | undefined} ms of one window
 * @param {string[]} words what is found just now
 */
export function showCaption(id, model, ms, words) {
  const said = [model?.name, ...words].filter(Boolean).join(" · ");
  const facts = model
    ? [
        ms === undefined ? "– ms" : `${ms.toFixed(1)} ms a window`,
        model.mAP == null ? "mAP not measured" : `mAP ${model.mAP.toFixed(3)} (${model.scored_on})`,
        `${(model.params / 1e6).toFixed(2)} M parameters`,
      ]
    : [];
  const [first, second] = element(id).children;
  for (const [line, text] of /** @type {const} */ ([[first, said], [second, facts.join(" · ")]])) {
    if (line.textContent !== text) line.textContent = text;
  }
}

let listed = "";

/**
 * Write the boxes of this moment into the table, for eyes, screen readers and scripts.
 * @param {{model: Model | null, boxes: Box[], alone: Set<Box>}[]} sides
 */
export function listFound(sides) {
  const table = element("found");
  const body = /** @type {HTMLTableSectionElement} */ (table.querySelector("tbody"));
  const key = JSON.stringify(sides.map(({ model, boxes, alone }) => [model?.name, boxes, alone.size]));
  if (listed === key) return;
  listed = key;
  table.classList.toggle("compared", sides.length > 1);
  body.replaceChildren(
    ...sides.flatMap(({ model, boxes, alone }) =>
      boxes.map((box) => foundRow(box, /** @type {Model} */ (model), alone.has(box))),
    ),
  );
}

/**
 * @param {Box} box
 * @param {Model} model that found it
 * @param {boolean} differs
 */
function foundRow(box, { name, classes }, differs) {
  const row = document.createElement("tr");
  row.dataset.box = JSON.stringify(box);
  row.dataset.model = name;
  row.classList.toggle("differs", differs);
  row.title = labelOf(box, classes);
  const track = box[6] < 0 ? "–" : `#${box[6]}`;
  for (const text of [classes[box[5] - 1], box[4].toFixed(3), track, name]) {
    row.insertCell().textContent = text;
  }
  return row;
}

/**
 * @param {string} id
 * @param {string} text
 */
export function setText(id, text) {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
}

/** @param {[number, number, number][]} palette */
export function paintLegend(palette) {
  const bar = canvas("legend-bar");
  const context = bar.getContext("2d");
  if (!context || palette.length < bar.width) return;
  const image = context.createImageData(bar.width, bar.height);
  for (let index = 0; index < bar.width * bar.height; index++) {
    image.data.set([...palette[index % bar.width], 255], index * 4);
  }
  context.putImageData(image, 0, 0);
}

/**
 * Count boxes by class: "2 persons, 1 vehicle".
 * @param {Box[]} boxes
 * @param {string[]} classes
 */
export function countWords(boxes, classes) {
  const words = classes
    .map((name, index) => [boxes.filter((box) => box[5] === index + 1).length, name])
    .filter(([count]) => count)
    .map(([count, name]) => `${count} ${name}${count === 1 ? "" : "s"}`);
  return words.join(", ") || "nothing found";
}

/**
 * @param {number} start
 * @param {number} count
 */
export function planesWords(start, count) {
  return `planes ${formatCount(start)} to ${formatCount(start + count - 1)}`;
}
