// The moment and what is found there come in; sentences about them go out.

import { capitalised } from "./api.js";
import { formatCount, formatTime } from "./clock.js";
import { documentSelection, filmSelection } from "./exports.js";
import { planesWords, select, setText } from "./panels.js";

/**
 * @typedef {import("./player.js").Player} Player
 * @typedef {import("./stage.js").Stage} Stage
 */

/** @param {string} sentence for the status line */
export function say(sentence) {
  setText("status", sentence && capitalised(sentence));
}

/**
 * Say where the play head is, and what is found there.
 * @param {Player} player
 * @param {Stage} stage
 */
export function sayWhere(player, stage) {
  const { clock, plane, isPlaying, isFollowing } = player;
  if (!clock) return;
  const place = `plane ${formatCount(plane)}, ${formatTime(clock.seconds(plane))}`;
  const where = plane === clock.planes - 1 && !isFollowing ? "At the end," : "At";
  say(isPlaying ? `Playing from ${place}` : `${where} ${place}: ${foundWords(player, stage)}`);
}

/**
 * @param {Player} player
 * @param {Stage} stage
 */
function foundWords(player, stage) {
  if (player.moment === player.plane) return stage.words(stage.sides()[0]);
  return player.connection.isOpen ? "no picture yet" : "no picture while the service is gone";
}

/**
 * Say what a picture shows: the recording, the moment, the view.
 * @param {Player} player
 */
export function momentWords({ introduction, clock, moment, view, shownWindow }) {
  const words = [introduction?.clip.name ?? "", `plane ${formatCount(moment)}`];
  if (clock) words.push(formatTime(clock.seconds(moment)));
  const shown = select("view").selectedOptions[0]?.text ?? view;
  words.push(view === "raw" ? shown : `${shown}, ${formatCount(shownWindow)} planes`);
  return words.filter(Boolean).join("  ·  ");
}

/**
 * Say which planes would be saved.
 * @param {Player} player
 */
export function showSelection(player) {
  if (!player.clock) return;
  const [film, told] = [filmSelection(player), documentSelection(player)];
  const document = told ? planesWords(told.start, told.planes) : "no whole window";
  setText("selection", `MP4: ${planesWords(film.start, film.planes)}\nJSON: ${document}`);
}

/**
 * Say what the recording is like.
 * @param {Player} player
 */
export function showFacts({ introduction, clock }) {
  if (!introduction || !clock) return;
  const { width, height, layout, rate_hz: rate } = introduction.clip;
  const length = `${formatCount(clock.planes)} planes at ${formatCount(rate)} Hz`;
  setText("facts", `${width} × ${height} · ${length} · ${layout}`);
}
