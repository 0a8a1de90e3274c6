// Buttons, sliders and keys are bound to what they stand for.

import { formatCount, placeOfSpeed, SPEED_STEPS, speedOfPlace } from "./clock.js";
import { Loop } from "./loop.js";
import { bindMarks } from "./marks.js";
import { element, input, select } from "./panels.js";
import { describe, listen } from "./shortcuts.js";

/**
 * @typedef {import("./player.js").Player} Player
 *
 * @typedef {object} Desk what the controls work on
 * @property {() => Player | null} player
 * @property {(action: (player: Player) => void) => void} move do something that moves the play head
 * @property {(sentence: string) => void} say
 * @property {() => void} filterChanged
 * @property {() => void} modelsChanged
 * @property {() => void} redraw
 * @property {(plane: number) => string} wordsAt what is known about a plane
 * @property {import("./types.js").Filter} filter
 */

const SPEED_STEP = 5; // places of the slider

/** @param {Desk} desk */
export function bind(desk) {
  const toggle = () => desk.move((player) => player.toggle());
  const step = (/** @type {number} */ planes) => desk.move((player) => player.step(planes));
  const stepWindow = (/** @type {number} */ count) => desk.move((player) => player.stepWindow(count));
  const seek = (/** @type {number} */ plane) => desk.move((player) => player.seek(plane));

  onClick("play", toggle);
  onClick("step-back", () => step(-1));
  onClick("step-forward", () => step(1));
  onClick("window-back", () => stepWindow(-1));
  onClick("window-forward", () => stepWindow(1));
  onClick("loop-a", () => setLoop(desk, "a"));
  onClick("loop-b", () => setLoop(desk, "b"));
  onClick("loop-off", () => dropLoop(desk));
  onClick("help-button", showHelp);
  bindSliders(desk);
  bindMarks({
    player: desk.player,
    words: desk.wordsAt,
    moveEnd: (end, plane) => setLoop(desk, end, plane),
  });
  bindChoices(desk);
  element("goto-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const plane = desk.player()?.clock?.parse(input("goto").value) ?? null;
    if (plane === null) {
      desk.say("Wanted a plane such as 1,200, or a time such as 12.5 ms");
      return;
    }
    input("goto").blur(); // the keys are the play head's again
    seek(plane);
  });
  input("goto").addEventListener("keydown", (event) => {
    if (event.key === "Escape") input("goto").blur();
  });

  /** @type {import("./shortcuts.js").Shortcut[]} */
  const shortcuts = [
    { key: " ", shown: "Space", words: "play or pause", run: toggle },
    { key: "ArrowLeft", shown: "← →", words: "one plane back or on", run: () => step(-1) },
    { key: "ArrowRight", shown: "", words: "", run: () => step(1) },
    { key: "Shift+ArrowLeft", shown: "Shift + ← →", words: "one window back or on", run: () => stepWindow(-1) },
    { key: "Shift+ArrowRight", shown: "", words: "", run: () => stepWindow(1) },
    { key: "Home", shown: "Home End", words: "first or last plane", run: () => seek(0) },
    { key: "End", shown: "", words: "", run: () => seek(Number.MAX_SAFE_INTEGER) },
    { key: ",", shown: ", .", words: "slower or faster", run: () => changeSpeed(desk, -SPEED_STEP) },
    { key: ".", shown: "", words: "", run: () => changeSpeed(desk, SPEED_STEP) },
    { key: "[", shown: "[ ]", words: "loop from here, up to here", run: () => setLoop(desk, "a") },
    { key: "]", shown: "", words: "", run: () => setLoop(desk, "b") },
    { key: "\\", shown: "\\", words: "no loop", run: () => dropLoop(desk) },
    { key: "g", shown: "g", words: "go to a plane or time", run: () => input("goto").focus() },
    { key: "v", shown: "v", words: "next view", run: nextView },
    { key: "l", shown: "l", words: "labels", run: () => flick("show-labels") },
    { key: "t", shown: "t", words: "trails", run: () => flick("show-trails") },
    { key: "d", shown: "d", words: "pause on detection", run: () => flick("pause-on-detection") },
    { key: "f", shown: "f", words: "follow the end", run: () => flick("follow") },
    { key: "?", shown: "?", words: "these keys", run: showHelp, isAlways: true },
  ];
  describe(element("keys"), shortcuts);
  listen(shortcuts, () => desk.player() !== null);
}

/** @param {Desk} desk */
function bindSliders(desk) {
  const bar = input("seek");
  const scrub = (/** @type {boolean} */ isScrubbing) => {
    const player = desk.player();
    if (player) player.isScrubbing = isScrubbing;
  };
  bar.addEventListener("pointerdown", () => scrub(true));
  for (const name of ["pointerup", "pointercancel"]) bar.addEventListener(name, () => scrub(false));
  bar.addEventListener("input", () => desk.move((player) => player.seek(Number(bar.value))));
  const confidence = input("confidence");
  confidence.addEventListener("input", () => {
    desk.filter.confidence = Number(confidence.value);
    desk.filterChanged();
  });
  const width = input("window");
  width.addEventListener("input", () => desk.player()?.set({ window: Number(width.value) }));
  const speed = input("speed");
  speed.addEventListener("input", () => {
    desk.player()?.set({ speed: speedOfPlace(Number(speed.value)) });
  });
}

/** @param {Desk} desk */
function bindChoices(desk) {
  const view = select("view");
  view.addEventListener("change", () => {
    desk.player()?.set({ view: /** @type {import("./types.js").View} */ (view.value) });
  });
  for (const id of ["model", "compare"]) {
    select(id).addEventListener("change", () => {
      const [model, beside] = [select("model").value, select("compare").value];
      const models = beside === model ? [model] : [model, beside];
      desk.player()?.set({ models: model ? models.filter(Boolean) : [] });
      desk.modelsChanged();
    });
  }
  for (const id of ["show-labels", "show-trails"]) input(id).addEventListener("change", desk.redraw);
  const follow = input("follow");
  follow.addEventListener("change", () => desk.player()?.set({ follow: follow.checked }));
}

/**
 * @param {Desk} desk
 * @param {number} change in places of the slider
 */
function changeSpeed(desk, change) {
  const player = desk.player();
  if (!player) return;
  const place = Math.max(0, Math.min(SPEED_STEPS, placeOfSpeed(player.speed) + change));
  player.set({ speed: speedOfPlace(place) });
}

/**
 * @param {Desk} desk
 * @param {import("./loop.js").End} end
 * @param {number} [plane] by default where the play head is
 */
function setLoop(desk, end, plane) {
  const player = desk.player();
  if (!player?.clock) return;
  player.set({ ends: player.ends.moved(end, plane ?? player.plane) });
  const [first, last] = player.loop ?? [0, player.clock.planes];
  desk.say(`Loop from plane ${formatCount(first)} to ${formatCount(last - 1)}`);
}

/** @param {Desk} desk */
function dropLoop(desk) {
  desk.player()?.set({ ends: new Loop() });
  desk.say("No loop");
}

function nextView() {
  const view = select("view");
  do view.selectedIndex = (view.selectedIndex + 1) % view.options.length;
  while (view.options[view.selectedIndex].disabled);
  view.dispatchEvent(new Event("change"));
}

/** @param {string} id of a box to tick, where it is shown */
function flick(id) {
  const box = input(id);
  if (!box.closest("[hidden]")) box.click();
}

function showHelp() {
  /** @type {HTMLDialogElement} */ (element("help")).showModal();
}

/**
 * @param {string} id
 * @param {() => void} run
 */
export function onClick(id, run) {
  element(id).addEventListener("click", run);
}
