// A pointer over the strip comes in; what lies there is said, and A and B are moved.

import { formatCount, formatTime } from "./clock.js";
import { element, setText } from "./panels.js";

/**
 * @typedef {import("./player.js").Player} Player
 * @typedef {import("./loop.js").End} End
 *
 * @typedef {object} Ruler what the marks need to know
 * @property {() => Player | null} player
 * @property {(plane: number) => string} words about a plane, for a pointer that rests there
 * @property {(end: End, plane: number) => void} moveEnd
 */

/** @type {End[]} */
const ENDS = ["a", "b"];

/** @param {Ruler} ruler */
export function bindMarks(ruler) {
  const strip = element("strip").parentElement;
  if (!strip) return;
  strip.addEventListener("pointermove", (event) => showHover(ruler, strip, event.clientX));
  strip.addEventListener("pointerleave", () => (element("strip-hover").hidden = true));
  for (const end of ENDS) {
    const handle = element(`handle-${end}`);
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const plane = planeAt(ruler.player(), strip, event.clientX);
      if (plane !== null) ruler.moveEnd(end, plane);
    });
  }
}

/**
 * Put the handles where the loop ends.
 * @param {Player} player
 */
export function showEnds({ clock, ends }) {
  for (const end of ENDS) {
    const plane = ends[end];
    const handle = element(`handle-${end}`);
    handle.hidden = plane === null || !clock;
    if (plane === null || !clock) continue;
    handle.style.left = `${(100 * (plane + (end === "b" ? 1 : 0))) / clock.planes}%`;
  }
}

/**
 * @param {Player | null} player
 * @param {HTMLElement} strip
 * @param {number} x of the pointer
 * @returns {number | null}
 */
function planeAt(player, strip, x) {
  if (!player?.clock) return null;
  const { left, width } = strip.getBoundingClientRect();
  return player.clock.clamp(Math.floor(((x - left) / width) * player.clock.planes));
}

/**
 * @param {Ruler} ruler
 * @param {HTMLElement} strip
 * @param {number} x
 */
function showHover(ruler, strip, x) {
  const player = ruler.player();
  const plane = planeAt(player, strip, x);
  if (plane === null || !player?.clock) return;
  const place = `plane ${formatCount(plane)} · ${formatTime(player.clock.seconds(plane))}`;
  setText("strip-hover", [place, ruler.words(plane)].filter(Boolean).join(" · "));
  const hover = element("strip-hover");
  hover.hidden = false;
  const { left, width } = strip.getBoundingClientRect();
  const half = hover.offsetWidth / 2;
  hover.style.left = `${Math.max(half, Math.min(x - left, width - half))}px`;
}
