// A picture and its boxes come in; painted canvases go out.
//
// On the page they lie on two: the picture's, of the recording's own pixels, which the browser
// scales, and the marks', as fine as the screen. Whichever has not changed is left alone.

/**
 * @typedef {import("./types.js").Box} Box
 */

/** Okabe and Ito, "Color Universal Design": told apart by colour-blind readers, too. */
const COLOURS = ["#56b4e9", "#e69f00", "#f0e442", "#cc79a7", "#009e73", "#d55e00", "#0072b2"];
const DASHES = [[], [9, 4], [2, 4], [12, 3, 2, 3], [5, 5], [14, 6], [2, 2]];

/** @param {number} category its id, from 1 */
export function styleOf(category) {
  const index = (category - 1) % COLOURS.length;
  return { colour: COLOURS[index], dash: DASHES[index] };
}

/**
 * @typedef {object} Scene
 * @property {CanvasImageSource | null} picture
 * @property {number} plane the moment that it shows
 * @property {number} width of the picture
 * @property {number} height
 * @property {boolean} isExact draw pixels as squares
 * @property {Box[]} boxes
 * @property {Set<Box>} alone boxes that the other model does not have
 * @property {Map<number, [number, number][]>} trails
 * @property {string[]} classes
 * @property {boolean} showLabels
 */

const GROUND = "#0b0f13"; // where there is no picture

/**
 * Paint a picture pixel by pixel.
 * @param {HTMLCanvasElement} canvas
 * @param {Scene} scene
 */
export function paintPicture(canvas, scene) {
  if (canvas.width !== scene.width) canvas.width = scene.width;
  if (canvas.height !== scene.height) canvas.height = scene.height;
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) return;
  context.fillStyle = GROUND;
  if (scene.picture) context.drawImage(scene.picture, 0, 0, scene.width, scene.height);
  else context.fillRect(0, 0, scene.width, scene.height);
}

/**
 * Paint boxes, trails and labels over nothing, where the picture lies under the canvas.
 * @param {HTMLCanvasElement} canvas
 * @param {Scene} scene
 */
export function paintMarks(canvas, scene) {
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (!scene.picture) return;
  const { left, top, scale } = place(canvas, scene);
  const ratio = window.devicePixelRatio || 1;
  context.setTransform(1, 0, 0, 1, left, top);
  paintTrails(context, scene, scale, ratio);
  for (const box of [...scene.boxes].reverse()) paintBox(context, scene, box, scale, ratio);
  if (scene.showLabels) paintLabels(context, scene, scale, ratio);
}

/**
 * Paint all of a scene, as large as a canvas allows.
 * @param {HTMLCanvasElement} canvas
 * @param {Scene} scene
 */
export function paint(canvas, scene) {
  const context = canvas.getContext("2d");
  if (!context) return;
  paintMarks(canvas, scene);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.globalCompositeOperation = "destination-over";
  if (scene.picture) {
    const { left, top, scale } = place(canvas, scene);
    context.imageSmoothingEnabled = !scene.isExact;
    context.imageSmoothingQuality = "high";
    context.drawImage(scene.picture, left, top, scene.width * scale, scene.height * scale);
  }
  context.fillStyle = GROUND;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.globalCompositeOperation = "source-over";
}

/**
 * Where the middle of a canvas holds a picture, as `object-fit: contain` does.
 * @param {HTMLCanvasElement} canvas
 * @param {Scene} scene
 */
function place(canvas, scene) {
  const scale = Math.min(canvas.width / scene.width, canvas.height / scene.height);
  const left = Math.round((canvas.width - scene.width * scale) / 2);
  const top = Math.round((canvas.height - scene.height * scale) / 2);
  return { left, top, scale };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {number} scale
 * @param {number} ratio
 */
function paintTrails(context, scene, scale, ratio) {
  for (const box of scene.boxes) {
    const trail = scene.trails.get(box[6]);
    if (!trail || trail.length < 2) continue;
    context.beginPath();
    trail.forEach(([x, y]) => context.lineTo(x * scale, y * scale));
    context.strokeStyle = styleOf(box[5]).colour;
    context.globalAlpha = 0.75;
    context.lineWidth = 1.5 * ratio;
    context.setLineDash([]);
    context.stroke();
    context.globalAlpha = 1;
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {Box} box
 * @param {number} scale
 * @param {number} ratio
 */
function paintBox(context, scene, box, scale, ratio) {
  const { colour, dash } = styleOf(box[5]);
  const place = /** @type {[number, number, number, number]} */ (
    box.slice(0, 4).map((value) => value * scale)
  );
  context.setLineDash([]);
  context.strokeStyle = "rgb(0 0 0 / 0.55)";
  context.lineWidth = 4 * ratio;
  context.strokeRect(...place);
  if (scene.alone.has(box)) {
    context.strokeStyle = "#ffffff";
    const out = 4 * ratio;
    context.lineWidth = 1.5 * ratio;
    context.strokeRect(place[0] - out, place[1] - out, place[2] + 2 * out, place[3] + 2 * out);
  }
  context.setLineDash(dash.map((length) => length * ratio));
  context.strokeStyle = colour;
  context.lineWidth = 2 * ratio;
  context.strokeRect(...place);
  context.setLineDash([]);
}

/**
 * Write labels; one that would hide a surer one is moved below its box, or left out.
 * @param {CanvasRenderingContext2D} context
 * @param {Scene} scene
 * @param {number} scale
 * @param {number} ratio
 */
function paintLabels(context, scene, scale, ratio) {
  const height = 18 * ratio;
  const right = scene.width * scale;
  const bottom = scene.height * scale;
  /** @type {[number, number, number][]} */
  const taken = [];
  context.font = `600 ${12 * ratio}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const box of scene.boxes) {
    const text = labelOf(box, scene.classes);
    const width = context.measureText(text).width + 10 * ratio;
    const x = Math.max(0, Math.min(box[0] * scale - ratio, right - width));
    const above = box[1] * scale - height - ratio;
    const places = [above, (box[1] + box[3]) * scale + ratio, box[1] * scale + ratio];
    const y = places.find(
      (place) =>
        place >= 0 &&
        place + height <= bottom &&
        taken.every(([tx, ty, tw]) => Math.abs(ty - place) >= height || x >= tx + tw || tx >= x + width),
    );
    if (y === undefined) continue;
    taken.push([x, y, width]);
    context.fillStyle = styleOf(box[5]).colour;
    context.fillRect(x, y, width, height);
    context.fillStyle = box[5] % COLOURS.length === 0 ? "#ffffff" : "#0b0f13";
    context.fillText(text, x + 5 * ratio, y + height / 2 + ratio / 2);
  }
}

/**
 * @param {Box} box
 * @param {string[]} classes
 */
export function labelOf(box, classes) {
  const name = classes[box[5] - 1] ?? `class ${box[5]}`;
  return `${name} ${box[4].toFixed(2)}${box[6] >= 0 ? ` #${box[6]}` : ""}`;
}

/**
 * Make a canvas as fine as the screen it lies on; a new size empties it.
 * @param {HTMLCanvasElement} canvas
 */
export function fit(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
