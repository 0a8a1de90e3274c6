// Where somebody wants a loop to begin and to end comes in; the planes that are looped go out.

/** @typedef {"a" | "b"} End */

/** An end that nobody chose is open: it is the recording's own, however it grows. */
export class Loop {
  /**
   * @param {number | null} a first plane
   * @param {number | null} b last plane
   */
  constructor(a = null, b = null) {
    this.a = a;
    this.b = b;
  }

  /**
   * Move an end; the other one gives way if it must.
   * @param {End} end
   * @param {number} plane
   */
  moved(end, plane) {
    const [a, b] = end === "a" ? [plane, this.b] : [this.a, plane];
    if (a === null || b === null || a <= b) return new Loop(a, b);
    return end === "a" ? new Loop(a) : new Loop(null, b);
  }

  /**
   * @param {number} planes of the recording
   * @returns {[number, number] | null} first plane and one past the last; null: there is no loop
   */
  range(planes) {
    if (this.a === null && this.b === null) return null;
    return [this.a ?? 0, (this.b ?? planes - 1) + 1];
  }

  /** @param {number} planes of the recording */
  fits(planes) {
    return Math.max(this.a ?? 0, this.b ?? 0) < planes;
  }
}
