// The page comes to life: an address chooses a clip, a player plays it, the stage shows it.

import { readAddress, writeAddress } from "./address.js";
import { Appearance } from "./appearance.js";
import { capitalised, listGeometries, Refusal, settleGeometry } from "./api.js";
import { bind, onClick } from "./controls.js";
import { saveJson, saveMp4, savePng } from "./exports.js";
import { askGeometry } from "./geometry.js";
import * as panels from "./panels.js";
import { Player } from "./player.js";
import { Shelf } from "./shelf.js";
import { Stage } from "./stage.js";
import { momentWords, say, sayWhere, showFacts, showSelection } from "./status.js";

const { element, input, setText } = panels;
const REST_MS = 250;

/** @type {import("./types.js").Filter} */
const filter = { confidence: 0.25, hidden: new Set() };
const stage = new Stage(filter);
const appearance = new Appearance(filter);
const shelf = new Shelf(complain);
/** @type {Player | null} */
let player = null;
let restTimer = 0;
let hasTold = false; // the status says something else than where the play head is

/** @param {string} sentence that stays until the viewer moves */
function tell(sentence) {
  hasTold = true;
  say(sentence);
}

function tellWhere() {
  hasTold = false;
  if (player) sayWhere(player, stage);
}

/** @param {string} sentence to be read above everything; an empty one takes it away */
function complain(sentence) {
  element("notice").hidden = !sentence;
  setText("notice-words", sentence ? capitalised(sentence) : "");
}

/** Stop where something comes into sight; go back there if that is known once the end was reached. */
function pauseOnDetection() {
  if (!player || !(player.isPlaying || player.hasEnded)) return;
  if (!input("pause-on-detection").checked) return;
  const plane = appearance.next(player);
  if (plane === null) return;
  player.pause();
  move((shown) => shown.seek(plane));
}

/**
 * Once the viewer rests, say where, and write it into the address.
 * @param {boolean} [isMoving] the viewer moves still; what comes in meanwhile puts nothing off
 */
function rest(isMoving = false) {
  if (restTimer && !isMoving) return;
  window.clearTimeout(restTimer);
  restTimer = window.setTimeout(() => {
    restTimer = 0;
    if (!player?.introduction || !player.clock) return;
    showSelection(player);
    if (!hasTold) tellWhere();
    writeAddress(player.introduction.clip.id, player.clock.seconds(player.plane));
  }, REST_MS);
}

/** @param {(player: Player) => void} action */
function move(action) {
  if (!player) return;
  hasTold = false;
  action(player);
  stage.redraw();
  rest(true);
}

function showState() {
  if (!player) return;
  showFacts(player);
  panels.showSettings(player);
  panels.showConnection(player);
  showSelection(player);
  element("side-b").hidden = player.models.length < 2;
  stage.redraw(true);
}

function showClasses() {
  const classes = player?.model(player.models[0])?.classes ?? [];
  panels.listClasses(classes, filter.hidden, filterChanged);
}

function filterChanged() {
  hasTold = false;
  setText("confidence-value", filter.confidence.toFixed(2));
  stage.redraw(true);
  if (!player?.isPlaying) rest();
}

function introduced() {
  if (!player?.introduction) return;
  const { clip, models, palette } = player.introduction;
  setText("title", clip.name || clip.id.slice(0, 8));
  document.title = `${clip.name || "clip"} – vidar-det`;
  complain(clip.warnings.join(". "));
  panels.listModels(models, player.models);
  panels.paintLegend(palette);
  showClasses();
  element("geometry-button").hidden = clip.id === "demo" || !/^(plain|row-padded|m1k40)$/.test(clip.layout);
  element("follow-label").hidden = !clip.is_in_place;
  showState();
  rest();
}

/** @param {import("./types.js").ProblemNote | null} problem */
function ended(problem) {
  const isGone = problem?.status === 404;
  showShelf();
  if (isGone) complain("This clip is not here any more; choose another");
  else complain(problem?.detail ?? "The service refused this page; load it again");
}

/** @type {import("./player.js").Hooks} */
const hooks = {
  onIntroduced: introduced,
  onPicture: () => {
    pauseOnDetection();
    stage.redraw();
    if (!player?.isPlaying) rest();
  },
  onBoxes: () => {
    pauseOnDetection();
    stage.redraw(true);
    if (!player?.isPlaying) rest();
  },
  onState: showState,
  onStrip: (piece) => {
    stage.strip.add(piece);
    stage.redraw(true);
  },
  onPace: (model, ms) => {
    stage.paces.set(model, ms);
    stage.redraw();
  },
  onPlay: () => player && appearance.start(player),
  onSay: (sentence) => (sentence || !player ? tell(sentence) : tellWhere()),
  onEnd: ended,
};

function showShelf() {
  player?.close();
  player = null;
  stage.show(null);
  window.clearTimeout(restTimer);
  restTimer = 0;
  setText("title", "Clips");
  setText("facts", "");
  document.title = "vidar-det viewer";
  element("geometry-button").hidden = true;
  element("watch").hidden = true;
  element("shelf").hidden = false;
  void shelf.refresh();
}

/** @param {string} [hash] of the address; by default as it is now */
function open(hash = location.hash) {
  const { clip, t } = readAddress(hash);
  complain("");
  if (!clip) {
    showShelf();
    return;
  }
  const isOpen = player?.introduction?.clip.id === clip;
  if (isOpen && player?.clock && t !== null) {
    const plane = player.clock.planeAt(t);
    move((shown) => shown.seek(plane));
  }
  if (isOpen) return;
  player?.close();
  shelf.leave();
  element("shelf").hidden = true;
  element("watch").hidden = false;
  say("Opening.");
  hasTold = false;
  player = new Player(clip, hooks, t);
  stage.show(player);
}

async function correctGeometry() {
  const clip = player?.introduction?.clip;
  if (!clip) return;
  try {
    const options = await askGeometry((given) => listGeometries(clip.id, given), clip.name);
    if (!options) return;
    await settleGeometry(clip.id, options);
    player?.close();
    player = null;
    open();
  } catch (error) {
    fail(error);
  }
}

/** @param {(player: Player, name: string) => Promise<void>} action */
async function save(action) {
  if (!player?.introduction) return;
  const clip = player.introduction.clip.name || "clip";
  tell("Saving");
  try {
    await action(player, `${clip.replace(/\.[^.]*$/, "")}-${player.moment}`);
    tell("Saved");
  } catch (error) {
    tellWhere();
    fail(error);
  }
}

/** @param {unknown} error */
function fail(error) {
  if (!(error instanceof Refusal)) throw error;
  const isGone = error.status === 404 && player;
  complain(isGone ? "This clip was deleted; it plays on here, but nothing of it can be saved" : error.message);
}

function changeTheme() {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
  try {
    localStorage.setItem("vidar-theme", isDark ? "light" : "dark");
  } catch {
    // without storage it lasts as long as the page
  }
  stage.redraw(true);
}

bind({
  player: () => player,
  move,
  say: tell,
  filterChanged,
  modelsChanged: () => {
    showClasses();
    filterChanged();
  },
  redraw: () => stage.redraw(),
  wordsAt: (plane) => stage.wordsAt(plane),
  filter,
});
onClick("theme-button", changeTheme);
onClick("notice-close", () => complain(""));
onClick("geometry-button", () => void correctGeometry());
onClick("save-png", () => void save((shown, name) => savePng(stage.scenes(), momentWords(shown), name)));
onClick("save-mp4", () => void save((shown, name) => saveMp4(shown, filter, name)));
onClick("save-json", () => void save((shown, name) => saveJson(shown, filter, name)));
window.addEventListener("hashchange", ({ newURL }) => {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close(); // they asked about what was here before
  open(new URL(newURL).hash); // the address may say by now where the play head rests
});
open();
