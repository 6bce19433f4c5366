// Buttons, fields, badges, cards: what pages are put together from.
import { Fragment, html, useEffect, useId, useRef } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Icon } from "./icons.js";

/** @typedef {import("../core/view.js").Children} Children */

/** @param {{ title: string, lead?: Children, children?: Children }} properties */
export function PageHead({ title, lead, children }) {
  useEffect(() => {
    document.title = `${title} · MASS`;
  }, [title]);
  return html`<header class="page-head">
    <div><h1 id="title" tabindex="-1">${title}</h1>${lead && html`<p>${lead}</p>`}</div>
    ${children && html`<div class="buttons">${children}</div>`}
  </header>`;
}

/** @param {{ title?: Children, note?: Children, actions?: Children, bare?: boolean, children?: Children }} properties */
export const Card = ({ title, note, actions, bare, children }) => html`<section class="card">
  ${title && html`<div class="card-head"><div><h2>${title}</h2>${note && html`<p>${note}</p>`}</div>
    ${actions && html`<div class="buttons">${actions}</div>`}</div>`}
  ${bare ? children : html`<div class="card-body">${children}</div>`}
</section>`;

/**
 * @param {{ label: string, value: Children, set?: (value: string) => void, type?: string, hint?: Children, wrong?: Children,
 *   options?: [string, string][], rows?: number, [attribute: string]: unknown }} properties
 */
export function Field({ label, value, set, type = "text", hint, wrong, options, rows, ...rest }) {
  const id = useId();
  const about = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
  /** @param {Event} event */
  const change = (event) => set?.(/** @type {HTMLInputElement} */ (event.target).value);
  const shared = { id, "aria-describedby": about || null, "aria-invalid": wrong ? "true" : null, ...rest };
  const control = options
    ? html`<select ...${shared} value=${value} onChange=${change}>
        ${options.map(([key, words]) => html`<option key=${key} value=${key} selected=${key === value}>${words}</option>`)}
      </select>`
    : rows
      ? html`<textarea ...${shared} rows=${rows} value=${value} onInput=${change} spellcheck="false"></textarea>`
      : html`<input ...${shared} type=${type} value=${value} onInput=${change} />`;
  return html`<div class="field"><label for=${id}>${label}</label>${control}
    ${hint && html`<span class="hint" id="${id}-hint">${hint}</span>`}
    ${wrong && html`<span class="wrong" id="${id}-wrong">${wrong}</span>`}</div>`;
}

/** @param {{ label: Children, value: boolean, set: (value: boolean) => void }} properties */
export const Check = ({ label, value, set }) => html`<label class="check"><input type="checkbox" checked=${value}
  onChange=${(/** @type {Event} */ event) => set(/** @type {HTMLInputElement} */ (event.target).checked)} />
  <span>${label}</span></label>`;

/** @param {{ label: string, value: string, options: [string, string][], set: (value: string) => void }} properties */
export const Segments = ({ label, value, options, set }) => html`<div class="segments" role="group" aria-label=${label}>
  ${options.map(([key, words]) => html`<button type="button" key=${key} aria-pressed=${String(key === value)}
    onClick=${() => set(key)}>${words}</button>`)}
</div>`;

/** @type {Record<string, [string, string]>} */
const LOOKS = {
  fresh: ["good", "check"], late: ["warn", "clock"], silent: ["bad", "alert"],
  pending: ["", "clock"], processing: ["accent", "clock"], done: ["good", "check"], failed: ["bad", "cross"], cancelled: ["", "minus"],
  queued: ["", "clock"], leased: ["accent", "clock"], delivered: ["good", "check"], dead: ["bad", "cross"],
  accepted: ["", "check"], correction: ["accent", "check"], duplicate: ["", "minus"],
  success: ["good", "check"], refused: ["bad", "cross"],
  enabled: ["good", "check"], disabled: ["", "minus"], revoked: ["bad", "cross"], expired: ["warn", "clock"], active: ["good", "check"],
  info: ["", "minus"], warning: ["warn", "alert"], critical: ["bad", "alert"], open: ["warn", "alert"], resolved: ["good", "check"],
  suspended: ["warn", "minus"], deletion_requested: ["bad", "clock"], erasing: ["bad", "clock"], erased: ["", "cross"],
  true: ["good", "check"], false: ["bad", "cross"],
};

/** @param {{ name: string, words?: Children }} properties */
export function Badge({ name, words }) {
  const [look, icon] = LOOKS[name] ?? ["", "minus"];
  return html`<span class="badge ${look}"><${Icon} name=${icon} />${words ?? named("state", name)}</span>`;
}

/**
 * A figure of a list of them; its value is still to come if it is null.
 * @param {{ term: Children, value: Children, unit?: string, note?: Children, title?: string }} properties
 */
export const Figure = ({ term, value, unit, note, title }) => html`<div class="figure" title=${title}><dt>${term}</dt>
  <dd class=${typeof value === "string" && /^\p{L}|.{13}/u.test(value) ? "text" : ""}>${value === null ? html`<span class="skeleton" style=${{ display: "inline-block", width: "4em" }}></span>` : html`${value}${unit && html`<small>${unit}</small>`}`}
  ${note && html`<div class="note">${note}</div>`}</dd></div>`;

/** @param {{ icon?: string, title: string, children?: Children }} properties */
export const Empty = ({ icon = "requests", title, children }) => html`<div class="empty">
  <${Icon} name=${icon} /><h2>${title}</h2>${children}</div>`;

/** @param {{ rows?: number, height?: number }} properties */
export const Skeleton = ({ rows = 1, height = 20 }) => html`<div aria-hidden="true" class="card-body">
  ${Array.from({ length: rows }, (_, index) => html`<div class="skeleton" key=${index} style=${{ height: `${height}px` }}></div>`)}
</div>`;

/** @param {{ share: number, label: string }} properties */
export const Meter = ({ share, label }) => html`<div class="meter" role="img" aria-label=${label}>
  <svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
    <rect width=${Math.max(0, Math.min(100, share * 100))} height="6" fill="currentColor" /></svg></div>`;

/** @param {{ term: Children, children?: Children }} properties */
export const Fact = ({ term, children }) => html`<${Fragment}><dt>${term}</dt><dd>${children}</dd><//>`;

/**
 * @param {{ title: string, isBusy?: boolean, confirm: string, danger?: boolean, onConfirm: () => void, onClose: () => void,
 *   children?: Children }} properties
 */
export function Dialog({ title, isBusy, confirm, danger, onConfirm, onClose, children }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useEffect(() => box.current?.showModal(), []);
  return html`<dialog ref=${box} aria-labelledby=${id} onClose=${onClose}>
    <form class="dialog-body" method="dialog" onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      onConfirm();
    }}>
      <h2 id=${id}>${title}</h2>${children}
      <div class="buttons"><button class="button ${danger ? "danger" : "primary"}" disabled=${isBusy}>${confirm}</button>
        <button type="button" class="button plain" onClick=${() => box.current?.close()}>${t("cancel")}</button></div>
    </form>
  </dialog>`;
}
