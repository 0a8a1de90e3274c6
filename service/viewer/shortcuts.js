// Keys come in; what they stand for is done.

/**
 * @typedef {object} Shortcut
 * @property {string} key as `KeyboardEvent.key` names it; `Shift+` before it
 * @property {string} shown
 * @property {string} words
 * @property {() => void} run
 * @property {boolean} [isAlways] even where nothing is played
 */

/**
 * @param {Shortcut[]} shortcuts
 * @param {() => boolean} isActive
 */
export function listen(shortcuts, isActive) {
  const byKey = new Map(shortcuts.map((one) => [one.key, one]));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isArrow = event.key.startsWith("Arrow");
    const name = event.shiftKey && isArrow ? `Shift+${event.key}` : event.key;
    const shortcut = byKey.get(name);
    if (!shortcut || belongsTo(event.target, event.key)) return;
    if (!shortcut.isAlways && !isActive()) return;
    event.preventDefault();
    if (!event.repeat || isArrow || /^[,.]$/.test(event.key)) shortcut.run(); // others switch
  });
}

/**
 * Whether a control needs the key itself.
 * @param {EventTarget | null} target
 * @param {string} key
 */
function belongsTo(target, key) {
  if (!(target instanceof HTMLElement) || document.querySelector("dialog[open]")) return true;
  if (target instanceof HTMLInputElement && target.id === "seek") return false;
  if (target.matches("input[type=text], input[type=number], textarea")) return true;
  if (target.matches("select")) return key !== "?";
  if (target.matches("input[type=range]")) return /^(Arrow|Home|End|Page)/.test(key);
  return key === " " && target.matches("button, summary, input, a");
}

/**
 * Write the list of keys.
 * @param {HTMLElement} list
 * @param {Shortcut[]} shortcuts
 */
export function describe(list, shortcuts) {
  for (const { shown, words } of shortcuts) {
    if (!words) continue;
    const key = document.createElement("dt");
    key.textContent = shown;
    const meaning = document.createElement("dd");
    meaning.textContent = words;
    list.append(key, meaning);
  }
}
