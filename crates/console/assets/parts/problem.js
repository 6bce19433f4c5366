// A problem of the API: its title, what it says of this case, the broken rules, and the id by which the server's log has it.
import { language } from "../core/choices.js";
import { html } from "../core/view.js";
import { has, t } from "../core/words.js";

/** @typedef {import("../core/api.js").Problem} Problem */

/** The kinds that stand for a status, where an answer has no kind of its own, such as a proxy's. @type {Record<number, string>} */
const KINDS = {
  400: "bad-request", 403: "forbidden", 404: "not-found", 408: "request-timeout", 412: "precondition-failed", 413: "too-large",
  429: "rate-limited", 500: "internal", 502: "unavailable", 503: "unavailable", 504: "unavailable",
};

/**
 * A broken rule, or another thing with a code, in the user's language; the server's sentences are English.
 * @param {{ of: { code?: string | null, detail: string, expected?: string | null }, group?: string }} properties
 */
export function Said({ of: { code, detail, expected }, group = "code" }) {
  const key = `${group}.${code}`;
  const wanted = expected && !detail.includes(expected) ? ` (${expected})` : "";
  if (language.value === "en" || !has(key)) return html`<span lang="en">${detail}${wanted}</span>`;
  return html`${t(/** @type {any} */ (key))} <span class="small muted" lang="en">${detail}${wanted}</span>`;
}

/** @param {{ problem: Problem | null, onRetry?: () => void, without?: string[] }} properties */
export function ProblemNotice({ problem, onRetry, without = [] }) {
  if (!problem) return null;
  const { title, detail, request_id: id } = problem.document;
  const violations = (problem.document.violations ?? []).filter(({ pointer }) => !without.includes(pointer));
  const advice = adviceOn(problem);
  const said = advice ? [title === advice.title ? "" : title, detail].filter(Boolean).join(": ") : "";
  return html`<div class="notice bad" role="alert">
    <strong>${advice?.title ?? title}</strong>
    ${advice && html`<p>${advice.deed}</p>`}
    ${said && html`<p class="small muted" lang="en">${said}</p>`}
    ${!advice && detail && html`<p>${detail}</p>`}
    ${violations.length > 0 && html`<ul>${violations.slice(0, 20).map((violation) => html`<li>
      ${violation.pointer && html`<code>${violation.pointer}</code> `}<${Said} of=${violation} /></li>`)}</ul>`}
    ${id && html`<p class="ids">${t("problem.request")} <code>${id}</code></p>`}
    ${onRetry && html`<div><button type="button" class="button small" onClick=${onRetry}>${t("again")}</button></div>`}
  </div>`;
}

/**
 * Returns what a problem means in the user's language, and what to do about it: by its kind, or else by its status.
 * @param {Problem} problem
 * @returns {{ title: string, deed: string } | null}
 */
function adviceOn(problem) {
  const key = [problem.kind, KINDS[problem.status]].map((name) => `advice.${name}`).find((name) => has(`${name}.deed`));
  if (!key) return null;
  const seconds = problem.document.retry_after_seconds ?? 60;
  return { title: t(/** @type {any} */ (key)), deed: t(/** @type {any} */ (`${key}.deed`), { seconds }) };
}

/** The same as text. @param {{ code?: string, detail: string }} of */
export function saying({ code, detail }) {
  const key = `code.${code}`;
  return language.value === "en" || !has(key) ? detail : `${t(/** @type {any} */ (key))} (${detail})`;
}

/**
 * Returns what is wrong at a field, by its pointer in the body.
 * @param {Problem | null} problem
 * @param {string} pointer
 */
export function wrongAt(problem, pointer) {
  const found = problem?.document.violations?.filter((violation) => violation.pointer === pointer) ?? [];
  return found.length > 0 ? found.map((violation) => html`<${Said} of=${violation} /> `) : undefined;
}
