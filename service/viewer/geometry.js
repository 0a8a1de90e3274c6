// A recording of doubtful geometry comes in; the one that the viewer chose by its picture goes out.

import { Refusal } from "./api.js";
import { formatCount } from "./clock.js";

const TYPING_MS = 300;
const CLEAR = 0.8;
const MOST = 8192;

/**
 * @typedef {import("./api.js").Geometry} Geometry
 * @typedef {Record<string, string | number>} Options
 */

/** @param {string} id */
function element(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** @param {string} id */
function input(id) {
  return /** @type {HTMLInputElement} */ (document.getElementById(id));
}

/**
 * Ask how a recording is stored.
 * @param {(options: Options) => Promise<Geometry[]>} preview shows ways to read it
 * @param {string} name of the recording
 * @param {Options} [known] what a file beside it says
 * @returns {Promise<Options | null>} null: never mind
 */
export async function askGeometry(preview, name, known = {}) {
  for (const id of ["width", "height"]) input(`own-${id}`).value = String(known[id] ?? "");
  input("own-flip").value = String(known.flip ?? "auto");
  const found = await preview(typed());
  if (!found.length) {
    throw new Refusal(`“${name}” is shorter than one plane of any known camera.`, 0);
  }
  return new Question(preview, found, known).answer;
}

/** The open dialog: what is typed is looked at, and only what was looked at can be opened. */
class Question {
  /**
   * @param {(options: Options) => Promise<Geometry[]>} preview
   * @param {Geometry[]} found
   * @param {Options} known
   */
  constructor(preview, found, known) {
    this.preview = preview;
    this.known = known;
    this.found = found;
    this.timer = 0;
    this.asked = 0; // counts what was typed: late answers to what was typed before are left out
    this.dialog = /** @type {HTMLDialogElement} */ (element("geometry"));
    const form = /** @type {HTMLFormElement} */ (element("geometry-form"));
    for (const id of ["own-width", "own-height", "own-flip"]) input(id).oninput = () => this.type();
    element("geometries").onchange = () => this.choose();
    form.onsubmit = (event) => {
      event.preventDefault();
      const index = Number(new FormData(form).get("geometry") ?? 0);
      const { width, height, layout, flip } = this.found[index];
      this.end({ width, height, layout, flip });
    };
    this.show();
    this.dialog.showModal();
    chosen()?.focus();
    /** @type {Promise<Options | null>} */
    this.answer = new Promise((resolve) => (this.resolve = resolve));
    this.dialog.onclose = () => this.end(null);
    element("geometry-cancel").onclick = () => this.end(null);
  }

  /** @param {Options | null} answer */
  end(answer) {
    window.clearTimeout(this.timer);
    this.asked += 1;
    this.dialog.onclose = null;
    this.dialog.close();
    this.resolve?.(answer);
  }

  /** What is chosen by its picture is meant, whatever was typed before. */
  choose() {
    window.clearTimeout(this.timer);
    this.asked += 1;
    this.allow();
  }

  type() {
    window.clearTimeout(this.timer);
    this.asked += 1;
    input("geometry-open").disabled = true;
    const wrong = wrongSize();
    if (wrong) this.refuse(wrong);
    else this.timer = window.setTimeout(() => void this.look(), TYPING_MS);
  }

  async look() {
    const asked = this.asked;
    try {
      const found = await this.preview(typed());
      if (asked !== this.asked) return;
      this.found = found;
      this.show();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (asked === this.asked) this.refuse(error.message);
    }
  }

  show() {
    const { width, height } = typed();
    const fits = (/** @type {Geometry} */ one) => one.width === width && one.height === height;
    const isSaid = (/** @type {Geometry} */ one) => fits(one) && one.layout === this.known.layout;
    const own = this.found.findIndex(this.found.some(isSaid) ? isSaid : fits);
    list(this.found, width ? own : 0);
    if (width && own < 0) {
      const size = `${formatCount(Number(width))} × ${formatCount(Number(height))}`;
      element("geometry-hint").textContent = `It cannot be read as planes of ${size} pixels.`;
    }
    this.allow();
  }

  /**
   * What is typed cannot be opened; what was found before still can, by its picture.
   * @param {string} sentence
   */
  refuse(sentence) {
    const radio = chosen();
    if (radio) radio.checked = false;
    element("geometry-hint").textContent = sentence;
    this.allow();
  }

  allow() {
    input("geometry-open").disabled = !chosen();
  }
}

/** @returns {HTMLInputElement | null} */
function chosen() {
  return document.querySelector("#geometries input:checked");
}

/** @returns {Options} */
function typed() {
  const [width, height] = [Number(input("own-width").value), Number(input("own-height").value)];
  const flip = input("own-flip").value;
  return width && height ? { width, height, flip } : { flip };
}

/** @returns {string} what is wrong with the size that was typed, if it is */
function wrongSize() {
  const sides = [input("own-width"), input("own-height")];
  if (sides.every((one) => !one.value && !one.validity.badInput)) return "";
  const isWhole = sides.every(({ value }) => Number.isInteger(Number(value)) && Number(value) <= MOST);
  const isGiven = sides.every(({ value }) => Number(value) > 0);
  if (isWhole && isGiven) return "";
  const missing = sides.find(({ value, validity }) => !value && !validity.badInput);
  if (missing) return `Type the ${missing === sides[0] ? "width" : "height"}, too.`;
  return `Width and height are whole numbers from 1 to ${formatCount(MOST)}.`;
}

/**
 * @param {Geometry[]} geometries
 * @param {number} index of the one that is chosen for now; -1: none
 */
function list(geometries, index) {
  const isClear = geometries.some((one) => one.likeness >= CLEAR);
  element("geometry-hint").textContent = isClear
    ? "A camera file does not say. Choose the picture that looks right."
    : "None of these makes a clear picture: this may be no recording, or of another size.";
  element("geometries").replaceChildren(
    ...geometries.map((geometry, place) => {
      const label = document.createElement("label");
      const radio = document.createElement("input");
      radio.type = "radio";
      radio.name = "geometry";
      radio.value = String(place);
      radio.className = "offscreen";
      radio.checked = place === index;
      const image = document.createElement("img");
      image.src = geometry.picture;
      image.alt = "";
      const text = document.createElement("span");
      const rest = geometry.trailing_bytes ? `, ${geometry.trailing_bytes} bytes left over` : "";
      text.textContent = `${geometry.width} × ${geometry.height} ${geometry.layout}: ${geometry.planes} planes${rest}`;
      label.append(radio, image, text);
      return label;
    }),
  );
}
