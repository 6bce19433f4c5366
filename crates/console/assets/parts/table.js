// Tables, and lists that go on page by page.
import { get } from "../core/api.js";
import { asProblem } from "../core/loading.js";
import { html, useEffect, useRef, useState } from "../core/view.js";
import { t } from "../core/words.js";
import { Skeleton } from "./controls.js";
import { ProblemNotice } from "./problem.js";

/** @typedef {import("../core/view.js").Children} Children */

/**
 * @typedef {{ title: string, cell: (row: any) => Children, look?: string, label?: string }} Column
 */

/** @param {{ columns: Column[], rows: any[], keyOf: (row: any) => string, caption: string }} properties */
export const Table = ({ columns, rows, keyOf, caption }) => html`<div class="table-wrap" tabindex="0" role="region" aria-label=${caption}>
  <table class="table stack"><caption class="visually-hidden">${caption}</caption>
    <thead><tr>${columns.map(({ title, look }) => html`<th key=${title} scope="col" class=${look ?? ""}>${title}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${keyOf(row)}>
      ${columns.map(({ title, cell, look, label }) => html`<td key=${title} class=${look ?? ""} data-label=${label ?? null}>${cell(row)}</td>`)}
    </tr>`)}</tbody>
  </table></div>`;

/**
 * Reads a list of the API page by page, from its beginning when the filters change.
 * @param {string} path
 * @param {Record<string, unknown>} filters
 * @param {(page: any) => void} [onPage]
 */
export function usePages(path, filters, onPage) {
  const [state, setState] = useState({
    rows: /** @type {any[]} */ ([]), next: /** @type {string | null} */ (null), isLoading: true,
    problem: /** @type {import("../core/api.js").Problem | null} */ (null),
  });
  const round = useRef(0);
  /** @param {string | null} cursor */
  const load = async (cursor) => {
    const mine = cursor ? round.current : (round.current += 1);
    setState((before) => ({ ...before, isLoading: true, problem: null }));
    try {
      const page = await get(path, { query: { ...filters, cursor } });
      if (mine !== round.current) return;
      onPage?.(page);
      setState((before) => ({
        rows: cursor ? [...before.rows, ...page.items] : page.items, next: page.next_cursor ?? null, isLoading: false, problem: null,
      }));
    } catch (error) {
      if (mine === round.current) setState((before) => ({ ...before, isLoading: false, problem: asProblem(error) }));
    }
  };
  useEffect(() => void load(null), [path, JSON.stringify(filters)]);
  return { ...state, more: () => load(state.next), reload: () => load(null) };
}

/**
 * @param {{ list: ReturnType<typeof usePages>, columns: Column[], keyOf: (row: any) => string, caption: string, empty: Children }}
 *   properties
 */
export function PagedTable({ list, columns, keyOf, caption, empty }) {
  if (list.problem && list.rows.length === 0) return html`<div class="card-body"><${ProblemNotice} problem=${list.problem} onRetry=${list.reload} /></div>`;
  if (list.isLoading && list.rows.length === 0) return html`<${Skeleton} rows=${8} height=${30} />`;
  if (list.rows.length === 0) return empty;
  return html`<div aria-busy=${String(list.isLoading)}>
    <${Table} columns=${columns} rows=${list.rows} keyOf=${keyOf} caption=${caption} />
    ${list.problem && html`<div class="card-body"><${ProblemNotice} problem=${list.problem} /></div>`}
    <div class="table-foot"><span>${t(list.next ? "rows.more" : "rows.all", { count: list.rows.length })}</span>
      ${list.next && html`<button type="button" class="button small" disabled=${list.isLoading} onClick=${list.more}>${t("more")}</button>`}</div>
  </div>`;
}
