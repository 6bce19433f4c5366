// The page in the address bar, after `#`: a path and its query, so that every view has an address.
import { search } from "./api.js";
import { signal } from "./view.js";

/** @typedef {{ path: string, parts: string[], query: Record<string, string> }} Place */

/** @returns {Place} */
function read() {
  const [path = "/", query = ""] = location.hash.replace(/^#/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { path: path || "/", parts, query: Object.fromEntries(new URLSearchParams(query)) };
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const place = signal(read());

addEventListener("hashchange", () => (place.value = read()));

/**
 * Returns a link to a page.
 * @param {string} path
 * @param {Record<string, unknown>} [query]
 */
export const to = (path, query = {}) => `${location.pathname}${location.search}#${path}${search(query)}`;

/**
 * @param {string} path
 * @param {Record<string, unknown>} [query]
 */
export function go(path, query) {
  location.hash = `${path}${search(query ?? {})}`;
}

/**
 * Changes the query of the present page, without another step back.
 * @param {Record<string, unknown>} changes
 */
export function ask(changes) {
  const query = { ...place.value.query, ...changes };
  history.replaceState(null, "", to(place.value.path, query));
  place.value = read();
}
