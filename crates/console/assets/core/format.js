// Numbers, units and instants in the chosen language.
import { locale } from "./choices.js";

const NOTHING = "–";

/** The zone of days and hours: the browser's, which is the site's for those who work there. */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** What has been made once: it costs more than its use. @type {Map<string, any>} */
const formats = new Map();

/**
 * @template Options, Format
 * @param {new (locale: string, options: Options) => Format} kind
 * @param {Options} options
 * @returns {Format}
 */
function kept(kind, options) {
  const key = kind.name + locale() + JSON.stringify(options);
  const found = formats.get(key) ?? new kind(locale(), options);
  formats.set(key, found);
  return found;
}

/** @param {Intl.NumberFormatOptions} options */
const formatter = (options) => kept(Intl.NumberFormat, options);

/** @param {Intl.DateTimeFormatOptions} options */
const dates = (options) => kept(Intl.DateTimeFormat, options);

/**
 * @param {number | null | undefined} value
 * @param {number} [digits] after the decimal separator; without it, as many as make four that matter, and no zeros at the end
 */
export function number(value, digits) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  const places = digits ?? places4(value);
  return formatter({ minimumFractionDigits: digits ?? 0, maximumFractionDigits: places, useGrouping: "min2" }).format(value);
}

/** @param {number} value */
function places4(value) {
  const size = Math.abs(value);
  if (size >= 1000 || Number.isInteger(value)) return 0;
  return size >= 100 ? 1 : size >= 10 ? 2 : 3;
}

/** @param {number | null | undefined} value */
export const count = (value) => number(value, 0);

/** @param {number | null | undefined} share */
export function percent(share, digits = 0) {
  if (share === null || share === undefined) return NOTHING;
  return formatter({ style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(share);
}

/** @param {number | null | undefined} bytes */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return NOTHING;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  let value = bytes;
  while (value >= 1024 && step < units.length - 1) {
    value /= 1024;
    step += 1;
  }
  return `${number(value, step === 0 ? 0 : 1)} ${units[step]}`;
}

/**
 * Returns an energy in the unit that makes it short.
 * @param {number | null | undefined} kwh
 * @returns {[string, string]}
 */
export function energy(kwh) {
  if (kwh === null || kwh === undefined) return [NOTHING, ""];
  return Math.abs(kwh) >= 10_000 ? [number(kwh / 1000, 1), "MWh"] : [number(kwh, kwh < 100 ? 1 : 0), "kWh"];
}

/**
 * @param {number | null | undefined} value
 * @param {string | null} [currency] an ISO code
 */
export function money(value, currency) {
  if (value === null || value === undefined) return NOTHING;
  const digits = Math.abs(value) >= 1000 ? 0 : 2;
  const places = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  if (!currency || !/^[A-Z]{3}$/.test(currency)) return `${number(value, digits)} ${currency ?? ""}`.trim();
  return formatter({ style: "currency", currency, currencyDisplay: "narrowSymbol", ...places }).format(value);
}

/** @param {string | number | Date | null | undefined} instant */
export function instant(instant, zone = "") {
  if (!instant) return NOTHING;
  return dates({ dateStyle: "medium", timeStyle: "short", ...zoned(zone) }).format(new Date(instant));
}

/** @param {string | number | Date | null | undefined} instant */
export function exactInstant(instant, zone = "") {
  if (!instant) return NOTHING;
  return dates({ dateStyle: "medium", timeStyle: "medium", ...zoned(zone) }).format(new Date(instant));
}

/** @param {string | number | Date | null | undefined} instant */
export function day(instant, zone = "") {
  return instant ? dates({ dateStyle: "medium", ...zoned(zone) }).format(new Date(instant)) : NOTHING;
}

/** @param {string} zone */
const zoned = (zone) => (zone ? { timeZone: zone } : {});

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [["year", 31_557_600], ["month", 2_629_800], ["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

/**
 * Returns how long ago it was.
 * @param {string | null | undefined} instant
 */
export function ago(instant, now = Date.now()) {
  if (!instant) return NOTHING;
  const seconds = (new Date(instant).getTime() - now) / 1000;
  const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(locale(), { numeric: "auto" }).format(Math.trunc(seconds / length), unit);
}

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  const [unit, length] = seconds >= 86_400 ? ["d", 86_400] : seconds >= 3600 ? ["h", 3600] : seconds >= 60 ? ["min", 60] : ["s", 1];
  const value = seconds / Number(length);
  return `${number(value, Number.isInteger(value) ? 0 : 1)} ${unit}`;
}

/** @param {string | null | undefined} unit */
export const unitOf = (unit) => (unit && unit !== "1" ? unit : "");
