// Stored clips and dropped files come in; the one that is to be watched goes out.

import { address, deleteClip, guessGeometry, listClips, Refusal, sendClip } from "./api.js";
import { linkTo } from "./address.js";
import { formatCount } from "./clock.js";
import { askGeometry } from "./geometry.js";
import { filesOf, findRecording } from "./parcel.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

/** @param {string} id */
function element(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

export class Shelf {
  /** @param {(sentence: string) => void} complain tells what went wrong; an empty sentence clears */
  constructor(complain) {
    this.complain = complain;
    /** @type {AbortController | null} */
    this.sending = null;
    this.isBusy = false;
    this.failures = 0;
    this.timer = 0;
    this.visits = 0;
    const chooser = /** @type {HTMLInputElement} */ (element("file"));
    chooser.addEventListener("change", () => {
      const files = [...(chooser.files ?? [])];
      chooser.value = "";
      if (files.length) void this.receive(() => files);
    });
    element("upload-cancel").addEventListener("click", () => this.sending?.abort());
    this.acceptDrops();
  }

  /** The whole page takes files. */
  acceptDrops() {
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      const hasFiles = event.dataTransfer?.types.includes("Files") ?? false;
      document.body.classList.toggle("dropping", hasFiles);
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) document.body.classList.remove("dropping");
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      const dropped = event.dataTransfer;
      if (dropped?.files.length) void this.receive(() => filesOf(dropped));
    });
  }

  /** List what there is; while the service does not answer, ask again and again. */
  async refresh() {
    this.leave();
    const visit = this.visits;
    try {
      const clips = await listClips();
      if (visit !== this.visits) return;
      element("clips").replaceChildren(...clips.reverse().map((clip) => this.card(clip)));
      if (this.failures) this.complain("");
      this.failures = 0;
    } catch (error) {
      if (visit !== this.visits) return;
      this.fail(error);
      const wait = Math.min(FIRST_WAIT_MS * 2 ** this.failures, LONGEST_WAIT_MS);
      this.failures += 1;
      this.timer = window.setTimeout(() => void this.refresh(), wait);
    }
  }

  /** Nobody looks at the list any more. */
  leave() {
    window.clearTimeout(this.timer);
    this.visits += 1;
  }

  /** @param {import("./api.js").ClipNote} note */
  card(note) {
    const item = document.createElement("li");
    item.className = "clip";
    const link = document.createElement("a");
    link.href = linkTo(note.id);
    const image = document.createElement("img");
    const middle = Math.floor(note.clip.planes / 2);
    image.src = address(`/v1/clips/${encodeURIComponent(note.id)}/frame`, { plane: middle });
    image.alt = "";
    image.loading = "lazy";
    const { width, height, planes, rate_hz: rate } = note.clip;
    const facts = `${width} × ${height} · ${formatCount(planes)} planes`;
    const length = `${formatDuration(planes / rate)} · ${formatSize(note.size_bytes)}`;
    const name = note.name || note.id.slice(0, 8);
    const text = span("text", span("name", name), span("quiet", facts), span("quiet", length));
    link.append(image, text);
    item.append(link);
    if (/^[0-9a-f]{32}$/.test(note.id)) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "plain";
      button.textContent = "Delete";
      button.setAttribute("aria-label", `Delete ${name}`);
      button.addEventListener("click", () => void this.remove(note.id, name, item));
      item.append(button);
    }
    return item;
  }

  /**
   * Delete a clip, if that is really meant; who uses the keyboard goes on with the next one.
   * @param {string} id
   * @param {string} name
   * @param {HTMLElement} item of the list
   */
  async remove(id, name, item) {
    if (!(await confirms(`Delete “${name}”?`))) return;
    const items = [...element("clips").children];
    const place = items.indexOf(item);
    try {
      await deleteClip(id);
    } catch (error) {
      this.fail(error);
    }
    await this.refresh();
    const next = element("clips").children[Math.min(place, items.length - 2)];
    /** @type {HTMLElement} */ (next?.querySelector("a") ?? element("file")).focus();
  }

  /** @param {() => File[]} list gives what was dropped or chosen */
  async receive(list) {
    if (this.isBusy) {
      this.complain("Another recording is on its way; wait, or cancel it");
      return;
    }
    this.isBusy = true;
    this.complain("");
    try {
      const { file, isArray, known } = await findRecording(list());
      const options = isArray ? known : await this.ask(file, known);
      if (!options) return;
      const note = await this.send(file, options);
      location.hash = linkTo(note.id);
    } catch (error) {
      this.fail(error);
    } finally {
      this.isBusy = false;
    }
  }

  /**
   * @param {File} file
   * @param {Record<string, string | number>} known
   */
  async ask(file, known) {
    const chosen = await askGeometry((options) => guessGeometry(file, options), file.name, known);
    return chosen && { ...chosen, ...(known.rate_hz ? { rate_hz: known.rate_hz } : {}) };
  }

  /**
   * @param {File} file
   * @param {Record<string, string | number>} options
   */
  async send(file, options) {
    this.sending = new AbortController();
    element("upload").hidden = false;
    element("upload-label").textContent = `Sending ${file.name}`;
    const progress = /** @type {HTMLProgressElement} */ (element("upload-progress"));
    progress.value = 0;
    const report = (/** @type {number} */ share) => (progress.value = share);
    try {
      return await sendClip(file, options, report, this.sending.signal);
    } finally {
      this.sending = null;
      element("upload").hidden = true;
    }
  }

  /** @param {unknown} error */
  fail(error) {
    if (!(error instanceof Refusal)) throw error;
    this.complain(error.message);
  }
}

/** @param {number} seconds */
function formatDuration(seconds) {
  return seconds < 1 ? `${(seconds * 1e3).toFixed(1)} ms` : `${seconds.toFixed(1)} s`;
}

/** @param {number} bytes */
function formatSize(bytes) {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/**
 * Ask before something is lost for good.
 * @param {string} question
 * @returns {Promise<boolean>}
 */
function confirms(question) {
  const dialog = /** @type {HTMLDialogElement} */ (element("confirm"));
  element("confirm-question").textContent = question;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

/**
 * @param {string} className
 * @param {(string | Node)[]} children
 */
function span(className, ...children) {
  const made = document.createElement("span");
  made.className = className;
  made.append(...children);
  return made;
}
