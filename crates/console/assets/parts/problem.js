// A problem of the API: its title, what it says of this case, the broken rules, and the id by which the server's log has it.
import { html } from "../core/view.js";
import { t } from "../core/words.js";

/** @typedef {import("../core/api.js").Problem} Problem */

/** @param {{ problem: Problem | null, onRetry?: () => void, without?: string[] }} properties */
export function ProblemNotice({ problem, onRetry, without = [] }) {
  if (!problem) return null;
  const { title, detail, request_id: id } = problem.document;
  const violations = (problem.document.violations ?? []).filter(({ pointer }) => !without.includes(pointer));
  const isOffline = problem.kind === "offline";
  return html`<div class="notice bad" role="alert">
    <strong>${isOffline ? t("problem.offline") : title}</strong>
    ${isOffline ? html`<p>${t("problem.offline.detail")}</p>` : detail && html`<p>${detail}</p>`}
    ${violations.length > 0 && html`<ul>${violations.slice(0, 20).map((violation) => html`<li>
      ${violation.pointer && html`<code>${violation.pointer}</code> `}${violation.detail}</li>`)}</ul>`}
    ${id && html`<p class="ids">${t("problem.request")} <code>${id}</code></p>`}
    ${onRetry && html`<div><button type="button" class="button small" onClick=${onRetry}>${t("again")}</button></div>`}
  </div>`;
}

/**
 * Returns what is wrong at a field, by its pointer in the body.
 * @param {Problem | null} problem
 * @param {string} pointer
 */
export const wrongAt = (problem, pointer) =>
  problem?.document.violations?.filter((violation) => violation.pointer === pointer).map(({ detail }) => detail).join(" ") || undefined;
