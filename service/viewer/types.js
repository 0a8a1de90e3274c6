// The shapes that modules hand each other. Types only: nothing here runs.

/**
 * @typedef {"tfp" | "tfi" | "raw" | "heat"} View
 *
 * @typedef {object} Model
 * @property {string} name
 * @property {number} params
 * @property {number} window planes of one of its windows
 * @property {number} time_steps
 * @property {string[]} classes
 * @property {number | null} [mAP]
 * @property {string} [scored_on]
 *
 * @typedef {object} Clip
 * @property {string} id
 * @property {string} name
 * @property {number} width
 * @property {number} height
 * @property {number} planes
 * @property {number} rate_hz
 * @property {string} layout
 * @property {string} flip
 * @property {boolean} is_in_place
 * @property {string[]} warnings
 * @property {[number, number][]} holes first plane after each gap, and how many planes are lost
 *
 * @typedef {object} Introduction
 * @property {Clip} clip
 * @property {Model[]} models
 * @property {number} white
 * @property {[number, number, number][]} palette
 * @property {number} lowest_score
 * @property {number} most_packed_bytes
 * @property {number} most_interval_planes that a picture by intervals counts
 *
 * @typedef {object} Frame a binary message
 * @property {number} kind 1 = JPEG, 2 = packed planes
 * @property {View} view
 * @property {number} sequence
 * @property {number} plane the moment that is shown
 * @property {number} start
 * @property {number} count
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array} payload
 *
 * @typedef {[number, number, number, number, number, number, number]} Box
 * left, top, width, height, score, category id, track (-1: none)
 *
 * @typedef {object} Sighting what one model found in one window
 * @property {number} start
 * @property {number} count
 * @property {Box[]} boxes
 *
 * @typedef {object} Filter
 * @property {number} confidence
 * @property {Set<number>} hidden category ids that are not shown
 *
 * @typedef {object} ProblemNote
 * @property {string} title
 * @property {string} detail
 * @property {number} status
 */

export {};
