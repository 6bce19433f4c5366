// The user's own choices, kept by the browser: language and theme.
import { effect, signal } from "./view.js";

/** @param {string} name */
function stored(name) {
  try {
    return localStorage.getItem(`mass.${name}`);
  } catch {
    return null;
  }
}

/**
 * @param {string} name
 * @param {string | null} value
 */
export function store(name, value) {
  try {
    if (value === null) localStorage.removeItem(`mass.${name}`);
    else localStorage.setItem(`mass.${name}`, value);
  } catch {
    // A browser that keeps nothing forgets the choice.
  }
}

export const recall = stored;

const preferred = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag === "es" || tag === "en") ?? "en";

/** The language of the words: `es` or `en`. */
export const language = signal(stored("language") ?? preferred);

/** Returns the browser's own form of the language, such as `en-GB`, for numbers and dates. */
export const locale = () => navigator.languages.find((tag) => tag.startsWith(language.value)) ?? language.value;

/** The theme: `auto`, `light` or `dark`. */
export const theme = signal(stored("theme") ?? "auto");

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(prefersDark.matches);
prefersDark.addEventListener("change", (event) => (systemIsDark.value = event.matches));

/** Tells whether the page is dark; read while drawing, it redraws. */
export const isDark = () => (theme.value === "auto" ? systemIsDark.value : theme.value === "dark");

effect(() => {
  document.documentElement.lang = language.value;
});
effect(() => {
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
});

/** @param {string} tag */
export function chooseLanguage(tag) {
  language.value = tag;
  store("language", tag);
}

/** @param {string} name */
export function chooseTheme(name) {
  theme.value = name;
  store("theme", name === "auto" ? null : name);
}
