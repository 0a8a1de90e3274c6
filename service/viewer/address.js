// The page's address comes in; which clip and which moment goes out, and back again.

/**
 * `#clip=ID&t=0.0125`: `t` is the sensor's time in seconds.
 * @param {string} hash
 * @returns {{clip: string | null, t: number | null}}
 */
export function readAddress(hash) {
  const parameters = new URLSearchParams(hash.slice(1));
  const t = Number.parseFloat(parameters.get("t") ?? "");
  return { clip: parameters.get("clip"), t: Number.isFinite(t) && t >= 0 ? t : null };
}

/**
 * Write the moment down without a step in the browser's history.
 * @param {string} clip
 * @param {number} seconds
 */
export function writeAddress(clip, seconds) {
  const t = Number(seconds.toFixed(6)).toString();
  history.replaceState(null, "", `#clip=${encodeURIComponent(clip)}&t=${t}`);
}

/** @param {string} clip */
export function linkTo(clip) {
  return `#clip=${encodeURIComponent(clip)}`;
}
