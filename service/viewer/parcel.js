// What somebody drops or chooses comes in; one recording, and what a file beside it says, goes out.

import { read, Refusal } from "./api.js";

const NPY = [0x93, 0x4e, 0x55, 0x4d];
const ARCHIVE = [0x50, 0x4b];
const MOST_SIDECAR_BYTES = 65_536;

/**
 * @typedef {object} Parcel
 * @property {File} file
 * @property {boolean} isArray it says itself how it is stored
 * @property {Record<string, string | number>} known what its sidecar says
 */

/**
 * List what was dropped; folders cannot be sent.
 * @param {DataTransfer} dropped
 * @returns {File[]}
 */
export function filesOf(dropped) {
  for (const item of dropped.items) {
    const entry = item.webkitGetAsEntry?.();
    if (!entry?.isDirectory) continue;
    throw refusal(`“${entry.name}” is a folder and cannot be sent; vidar-det view ${entry.name} shows it.`);
  }
  return [...dropped.files];
}

/**
 * Find the recording among files.
 * @param {File[]} files at least one
 * @returns {Promise<Parcel>}
 */
export async function findRecording(files) {
  const sidecars = files.filter(({ name }) => /\.toml$/i.test(name));
  const recordings = files.filter((file) => !sidecars.includes(file));
  const [file, another] = recordings;
  const [sidecar] = sidecars;
  if (!file) throw refusal(`“${sidecar.name}” says how a recording is stored; drop that recording with it.`);
  if (another || sidecars.length > 1) throw refusal("One recording at a time, please.");
  const wanted = `${stem(file.name)}.toml`;
  if (sidecar && sidecar.name !== wanted) {
    throw refusal(`“${sidecar.name}” does not belong to “${file.name}”: that one is “${wanted}”.`);
  }
  if (!file.size) throw refusal(`“${file.name}” is empty.`);
  const head = new Uint8Array(await read(file, 4));
  if (ARCHIVE.every((byte, index) => head[index] === byte)) {
    throw refusal(`“${file.name}” is an archive; unpack it, and drop the .npy that is in it.`);
  }
  const isArray = NPY.every((byte, index) => head[index] === byte);
  return { file, isArray, known: sidecar ? await readSidecar(sidecar) : {} };
}

/**
 * Read the lines of a sidecar that say how a recording is stored; see `vidar_det/spikes/sidecar.py`.
 * @param {File} file
 */
async function readSidecar(file) {
  const text = new TextDecoder().decode(await read(file, MOST_SIDECAR_BYTES));
  /** @type {Record<string, string | number>} */
  const known = {};
  for (const line of text.split("\n")) {
    const number = /^\s*(width|height|rate_hz)\s*=\s*([0-9_.e+]+)\s*(#.*)?$/.exec(line);
    const word = /^\s*(layout|flip)\s*=\s*["']([a-z0-9-]+)["']\s*(#.*)?$/.exec(line);
    if (number) known[number[1]] = Number(number[2].replaceAll("_", ""));
    else if (word) known[word[1]] = word[2];
  }
  return known;
}

/** @param {string} name */
function stem(name) {
  return name.replace(/\.[^.]*$/, "");
}

/** @param {string} sentence */
function refusal(sentence) {
  return new Refusal(sentence, 0);
}
