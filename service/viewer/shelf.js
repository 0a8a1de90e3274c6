// Stored clips and dropped files come in; the one that is to be watched goes out.

import { address, deleteClip, guessGeometry, listClips, Refusal, sendClip } from "./api.js";
import { linkTo } from "./address.js";
import { formatCount } from "./clock.js";
import { askGeometry } from "./geometry.js";

const NPY = [0x93, 0x4e, 0x55, 0x4d];

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
    const file = /** @type {HTMLInputElement} */ (element("file"));
    file.addEventListener("change", () => {
      const chosen = file.files?.[0];
      file.value = "";
      if (chosen) void this.receive(chosen);
    });
    element("upload-cancel").addEventListener("click", () => this.sending?.abort());
    this.acceptDrops();
  }

  /** The whole page takes files. */
  acceptDrops() {
    const zone = element("dropzone");
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) zone.classList.remove("over");
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      const dropped = event.dataTransfer?.files[0];
      if (dropped) void this.receive(dropped);
    });
  }

  async refresh() {
    try {
      const clips = await listClips();
      element("clips").replaceChildren(...clips.reverse().map((clip) => this.card(clip)));
    } catch (error) {
      this.fail(error);
    }
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
      button.addEventListener("click", () => void this.remove(note.id));
      item.append(button);
    }
    return item;
  }

  /** @param {string} id */
  async remove(id) {
    try {
      await deleteClip(id);
    } catch (error) {
      this.fail(error);
    }
    await this.refresh();
  }

  /** @param {File} file */
  async receive(file) {
    this.complain("");
    try {
      if (!file.size) throw new Refusal(`${file.name} is empty.`, 0);
      const options = (await isArray(file)) ? {} : await this.ask(file);
      if (!options) return;
      const note = await this.send(file, options);
      location.hash = linkTo(note.id);
    } catch (error) {
      this.fail(error);
    } finally {
      element("upload").hidden = true;
    }
  }

  /** @param {File} file */
  ask(file) {
    return askGeometry((options) => guessGeometry(file, options), file.name);
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
    const report = (/** @type {number} */ share) => (progress.value = share);
    return sendClip(file, options, report, this.sending.signal);
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

/** @param {File} file */
async function isArray(file) {
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  return NPY.every((byte, index) => head[index] === byte);
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
