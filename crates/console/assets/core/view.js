// What every part of the page is made of, from one place.
import { h } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { Fragment, render } from "../vendor/preact.js";
export { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
export { effect, signal } from "../vendor/signals.js";

/** @typedef {import("../vendor/preact.js").ComponentChildren} Children */

export const html = htm.bind(h);
