// Series of the API as what a chart draws, and the periods that they are asked for.
import { html } from "../core/view.js";
import { t } from "../core/words.js";
import { Segments } from "./controls.js";

/**
 * @typedef {{ begin: string, end: string, value: number | null, count: number, coverage: number }} Bucket
 * @typedef {{ metric: string, unit?: string | null, site_id?: string | null, device_id?: string | null, kind: string, coverage: number,
 *   buckets: Bucket[] }} Series
 * @typedef {{ label: string, unit: string, color: string, dash?: number[], values: Map<number, number | null>, ends: Map<number, number> }} Line
 */

/** A day in seconds. */
export const DAY = 86_400;

/** The usual periods, in days. @type {[string, number][]} */
const SPANS = [["1d", 1], ["7d", 7], ["30d", 30], ["90d", 90], ["1y", 365]];

/** @param {string} instant */
export const seconds = (instant) => Date.parse(instant) / 1000;

/** @param {number} at seconds */
export const iso = (at) => new Date(at * 1000).toISOString().replace(/\.\d+Z$/, "Z");

/**
 * The usual periods to choose from.
 * @param {{ days: number | null, set: (days: number) => void }} properties the days that are shown, or null for another period
 */
export const Spans = ({ days, set }) => html`<${Segments} label=${t("period")} value=${SPANS.find(([, length]) => days !== null && Math.abs(length - days) < 0.01)?.[0] ?? ""}
  options=${SPANS.map(([name]) => [name, t(/** @type {any} */ (`span.${name}`))])}
  set=${(/** @type {string} */ name) => set(SPANS.find(([one]) => one === name)?.[1] ?? 7)} />`;

/**
 * Adds series up, instant by instant; where one of them has nothing, neither has the sum.
 * @param {Series[]} series
 */
export function summed(series) {
  /** @type {Map<number, { sum: number, count: number, end: number }>} */
  const sums = new Map();
  const filled = series.filter(({ buckets }) => buckets.length > 0);
  for (const { buckets } of filled) {
    for (const { begin, end, value } of buckets) {
      if (value === null || value === undefined) continue;
      const at = seconds(begin);
      const known = sums.get(at) ?? { sum: 0, count: 0, end: seconds(end) };
      sums.set(at, { sum: known.sum + value, count: known.count + 1, end: known.end });
    }
  }
  const values = new Map();
  const ends = new Map();
  for (const [at, { sum, count, end }] of [...sums].sort(([a], [b]) => a - b)) {
    values.set(at, count === filled.length ? sum : null);
    ends.set(at, end);
  }
  return { values, ends };
}

/**
 * Returns the series that stand for a site: its own reports if there are any, its devices otherwise.
 * @param {Series[]} series
 * @param {string} metric
 */
export function ofSite(series, metric) {
  const all = series.filter((one) => one.metric === metric && one.buckets.length > 0);
  const own = all.filter((one) => !one.device_id);
  return own.length > 0 ? own : all;
}

/**
 * Puts lines on one axis of time. Where a stretch is not followed by the next one, the line breaks.
 * @param {Line[]} lines
 * @param {boolean} areInstants true for single values, which are joined unless they are far apart
 * @returns {[number[], ...(number | null)[][]]}
 */
export function aligned(lines, areInstants = false) {
  const sorted = instantsOf(lines);
  const step = typicalStep(sorted);
  /** @type {number[]} */
  const xs = [];
  sorted.forEach((at, index) => {
    const before = sorted[index - 1];
    if (before !== undefined) {
      let end = areInstants ? before + 3 * step : 0;
      if (!areInstants) for (const { ends } of lines) end = Math.max(end, ends.get(before) ?? 0);
      if (at - end > 1) xs.push(Math.min((before + at) / 2, before + Math.max(1, step / 2)));
    }
    xs.push(at);
  });
  return [xs, ...lines.map(({ values }) => xs.map((x) => values.get(x) ?? null))];
}

/** @param {Line[]} lines @returns {number[]} */
function instantsOf(lines) {
  const [first = [], ...others] = lines.map(({ values }) => [...values.keys()]);
  const isAscending = first.every((at, index) => index === 0 || at > /** @type {number} */ (first[index - 1]));
  const areSame = isAscending && others.every((keys) => keys.length === first.length && keys.every((at, index) => at === first[index]));
  return areSame ? first : [...new Set([first, ...others].flat())].sort((a, b) => a - b);
}

/** The median distance of a thousand neighbours. @param {number[]} sorted */
function typicalStep(sorted) {
  const every = Math.max(1, Math.floor(sorted.length / 1000));
  const distances = [];
  for (let index = 1; index < sorted.length; index += every) distances.push(/** @type {number} */ (sorted[index]) - /** @type {number} */ (sorted[index - 1]));
  distances.sort((a, b) => a - b);
  return distances[Math.floor(distances.length / 2)] ?? 3600;
}

/**
 * Returns the step for a period: as fine as a screen shows.
 * @param {number} from seconds
 * @param {number} to seconds
 */
export function stepFor(from, to) {
  const days = (to - from) / DAY;
  if (days <= 0.26) return "raw";
  if (days <= 4) return "5m";
  return days <= 120 ? "hour" : days <= 3000 ? "day" : "month";
}
