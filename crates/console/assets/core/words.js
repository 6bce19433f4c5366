// The words of the page in the chosen language.
import en from "../words/en.js";
import es from "../words/es.js";
import { language } from "./choices.js";

/** @typedef {keyof typeof en} Key */

/** @type {Record<string, Record<string, string>>} */
const dictionaries = { en, es };

/** @param {string} key */
export const has = (key) => key in en;

/**
 * Returns the words of a key, with `{name}` replaced.
 * @param {Key} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values) {
  const words = dictionaries[language.value]?.[key] ?? en[key];
  return values ? words.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? "")) : words;
}

/**
 * Returns the words of a name of the API (a status, an action, a metric), or the name itself.
 * @param {string} group
 * @param {string | null | undefined} name
 */
export function named(group, name) {
  const key = `${group}.${name}`;
  return has(key) ? t(/** @type {Key} */ (key)) : (name ?? "").replaceAll("_", " ");
}
