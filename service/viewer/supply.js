// A play head that rests comes in; the planes around it are asked for, so that steps are drawn here.

import { spanAround } from "./planes.js";

const SETTLE_MS = 120;
const MARGIN_PLANES = 64; // beside those that are shown, for the next steps

export class Supply {
  /** @param {import("./player.js").Player} player */
  constructor(player) {
    this.player = player;
    this.timer = 0;
  }

  /** The play head rests, if it does so for a moment. */
  settle() {
    this.stop();
    this.timer = window.setTimeout(() => this.fetch(), SETTLE_MS);
  }

  stop() {
    window.clearTimeout(this.timer);
  }

  fetch() {
    const { clock, introduction, isPlaying, view, plane, shownWindow, screen } = this.player;
    if (isPlaying || !clock || !introduction) return;
    const { clip, most_packed_bytes: most } = introduction;
    const [start, count] = spanAround(clock, view, plane, shownWindow);
    const first = Math.max(0, start - MARGIN_PLANES);
    const last = Math.min(clock.planes, start + count + MARGIN_PLANES);
    const bytes = (last - first) * Math.ceil(clip.width / 8) * clip.height;
    if (bytes > most || screen.has(first, last - first) || last - first < 2) return;
    this.player.connection.send({ type: "planes", start: first, count: last - first });
  }
}
