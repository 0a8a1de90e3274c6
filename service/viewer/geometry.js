// A recording of doubtful geometry comes in; the one that the viewer chose by its picture goes out.

import { Refusal } from "./api.js";

const TYPING_MS = 300;
const CLEAR = 0.8;

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
 * @returns {Promise<Options | null>} null: never mind
 */
export async function askGeometry(preview, name) {
  const dialog = /** @type {HTMLDialogElement} */ (element("geometry"));
  const form = /** @type {HTMLFormElement} */ (element("geometry-form"));
  let found = await preview({});
  if (!found.length) throw new Refusal(`${name} is shorter than one plane of any known camera.`, 0);
  let timer = 0;

  const own = async () => {
    const [width, height] = [input("own-width").value, input("own-height").value];
    const options = { flip: input("own-flip").value };
    const isWhole = Number(width) > 0 && Number(height) > 0;
    try {
      found = await preview(isWhole ? { ...options, width, height } : options);
      list(found);
    } catch (error) {
      element("geometry-hint").textContent = error instanceof Refusal ? error.message : String(error);
    }
  };
  const typed = () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void own(), TYPING_MS);
  };
  for (const id of ["own-width", "own-height", "own-flip"]) {
    input(id).value = id === "own-flip" ? "auto" : "";
    input(id).oninput = typed;
  }
  list(found);
  dialog.showModal();
  /** @type {HTMLInputElement | null} */ (dialog.querySelector("input[type=radio]"))?.focus();
  return new Promise((resolve) => {
    /** @param {Options | null} answer */
    const end = (answer) => {
      window.clearTimeout(timer);
      dialog.onclose = null;
      dialog.close();
      resolve(answer);
    };
    dialog.onclose = () => end(null);
    element("geometry-cancel").onclick = () => end(null);
    form.onsubmit = (event) => {
      event.preventDefault();
      const index = Number(new FormData(form).get("geometry") ?? 0);
      const { width, height, layout, flip } = found[index];
      end({ width, height, layout, flip });
    };
  });
}

/** @param {Geometry[]} geometries */
function list(geometries) {
  const isClear = geometries.some((one) => one.likeness >= CLEAR);
  element("geometry-hint").textContent = isClear
    ? "A camera file does not say. Choose the picture that looks right."
    : "None of these makes a clear picture: this may be no recording, or of another size.";
  element("geometries").replaceChildren(
    ...geometries.map((geometry, index) => {
      const label = document.createElement("label");
      const radio = document.createElement("input");
      radio.type = "radio";
      radio.name = "geometry";
      radio.value = String(index);
      radio.className = "offscreen";
      radio.checked = index === 0;
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
