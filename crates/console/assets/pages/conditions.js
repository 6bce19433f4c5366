// What a rule can watch: the kinds of conditions with their members, as the API has them.

export const WEEK = 7 * 86_400;
export const MONTH = 31 * 86_400;

/**
 * A member of a condition: a text, or a number with what it is at first.
 * @typedef {{ name: string, first?: string, required?: boolean, min?: number, max?: number, step?: string, pattern?: string }} Member
 */

/** @type {Member[]} */
const PLACE = [{ name: "site_id" }, { name: "device_id" }];

/** @param {number} most @returns {Member} */
const count = (most, name = "count") => ({ name, first: "1", required: true, min: 1, max: most });

/** @type {Member} */
const WINDOW = { name: "within_seconds", first: "3600", required: true, min: 60, max: WEEK };

const EVENTS = [count(100), WINDOW];

/** The members of each kind of condition. @type {Record<string, Member[]>} */
export const CONDITIONS = {
  device_silent: [{ name: "after_seconds", first: "3600", required: true, min: 60, max: MONTH }, ...PLACE],
  metric_out_of_range: [
    { name: "metric", required: true, pattern: "[a-z][a-z0-9_]{0,63}" }, { name: "min", step: "any" }, { name: "max", step: "any" },
    { name: "hysteresis", first: "0", min: 0, step: "any" }, { name: "max_age_seconds", first: "3600", required: true, min: 60, max: MONTH }, ...PLACE,
  ],
  quarantine_growth: [count(100_000, "records"), WINDOW],
  dead_letters: [count(100_000)],
  audit_trail_broken: [],
  refresh_token_reused: EVENTS, failed_logins: EVENTS, access_refused: EVENTS, throttled: EVENTS, access_granted: EVENTS,
};

/** @param {Member} member */
export const isText = ({ name }) => name === "metric" || name === "site_id" || name === "device_id";
