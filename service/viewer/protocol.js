// Binary messages come in; their header and payload go out. See service/replay/protocol.py.

/** @typedef {import("./types.js").Frame} Frame */

const HEADER_BYTES = 40;
const VERSION = 1;

export const PICTURE = 1;
export const PLANES = 2;

/** @type {import("./types.js").View[]} */
export const VIEWS = ["tfp", "tfi", "raw", "heat"];

/**
 * Take a binary message apart.
 * @param {ArrayBuffer} message
 * @returns {Frame | null} null where it is no such message
 */
export function unpack(message) {
  if (message.byteLength < HEADER_BYTES) return null;
  const data = new DataView(message);
  const length = data.getUint32(36, true);
  if (data.getUint8(0) !== VERSION || length !== message.byteLength - HEADER_BYTES) return null;
  return {
    kind: data.getUint8(1),
    view: VIEWS[data.getUint16(2, true)],
    sequence: data.getUint32(4, true),
    plane: Number(data.getBigUint64(8, true)),
    start: Number(data.getBigUint64(16, true)),
    count: data.getUint32(24, true),
    width: data.getUint16(28, true),
    height: data.getUint16(30, true),
    payload: new Uint8Array(message, HEADER_BYTES),
  };
}
