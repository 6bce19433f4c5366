// The page: the frame, and in it what the address names.
import { asProblem } from "./loading.js";
import { resume } from "./session.js";
import { App } from "../parts/frame.js";
import { html, render } from "./view.js";

const root = /** @type {HTMLElement} */ (document.getElementById("console"));
/** @type {import("./api.js").Problem | null} */
let problem = null;
try {
  await resume();
} catch (error) {
  problem = asProblem(error);
}
render(html`<${App} problem=${problem} />`, root);
