// A JSON document, with what is said about its parts at their place.
import { html } from "../core/view.js";
import { Said } from "./problem.js";

/** @typedef {{ pointer: string, code?: string, detail: string }} Remark */

/** @param {{ value: unknown, remarks?: Remark[] }} properties */
export const JsonDocument = ({ value, remarks = [] }) => html`<div class="json" tabindex="0" role="region" aria-label="JSON">
  <${Node} value=${value} pointer="" remarks=${remarks} last=${true} /></div>`;

/** @param {string} name */
const escaped = (name) => name.replaceAll("~", "~0").replaceAll("/", "~1");

/** @param {{ name?: string, value: any, pointer: string, remarks: Remark[], last: boolean }} properties */
function Node({ name, value, pointer, remarks, last }) {
  const mine = remarks.filter((remark) => remark.pointer === pointer);
  const key = name === undefined ? "" : html`<span class="key">${JSON.stringify(name)}</span>: `;
  const tail = last ? "" : ",";
  const said = mine.map((remark) => html`<span class="remark">▲ <${Said} of=${remark} /></span>`);
  const look = mine.length > 0 ? "at" : "";
  if (value === null || typeof value !== "object") return html`<div><span class=${look}>${key}${JSON.stringify(value)}</span>${tail}${said}</div>`;
  const isList = Array.isArray(value);
  const entries = isList ? value.map((item, index) => /** @type {[string, any]} */ ([String(index), item])) : Object.entries(value);
  const [open, close] = isList ? ["[", "]"] : ["{", "}"];
  if (entries.length === 0) return html`<div><span class=${look}>${key}${open}${close}</span>${tail}${said}</div>`;
  return html`<div><span class=${look}>${key}${open}</span>${said}
    <ul>${entries.map(([member, item], index) => html`<li key=${member}><${Node} name=${isList ? undefined : member} value=${item}
      pointer=${`${pointer}/${escaped(member)}`} remarks=${remarks} last=${index === entries.length - 1} /></li>`)}</ul>${close}${tail}</div>`;
}
