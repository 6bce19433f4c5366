// The quarantine: refused records by their reasons; mending one, and trying many again.
import { get, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction, useLoaded } from "../core/loading.js";
import { ask, go, to } from "../core/router.js";
import { can } from "../core/session.js";
import { html, useMemo, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Card, Dialog, Empty, Fact, Field, PageHead, Segments, Skeleton } from "../parts/controls.js";
import { Icon } from "../parts/icons.js";
import { ProblemNotice } from "../parts/problem.js";
import { PagedTable, usePages } from "../parts/table.js";

/** @param {{ parts: string[], query: Record<string, string> }} properties */
export default function Quarantine({ parts, query }) {
  return parts[0] ? html`<${RefusedRecord} id=${parts[0]} />` : html`<${List} query=${query} />`;
}

/** @param {{ query: Record<string, string> }} properties */
function List({ query }) {
  const filters = { code: query.code, contract: query.contract, request_id: query.request_id };
  const list = usePages("/v1/quarantine", { ...filters, limit: 200 });
  const groups = useMemo(() => grouped(list.rows), [list.rows]);
  const [asked, setAsked] = useState("");
  return html`<div class="page">
    <${PageHead} title=${t("quarantine")} lead=${t("quarantine.lead")}>
      ${can("mass:write") && list.rows.length > 0 && html`<button type="button" class="button primary" onClick=${() => setAsked("retry")}>${t("quarantine.retry.all")}</button>
        <button type="button" class="button danger" onClick=${() => setAsked("delete")}>${t("quarantine.delete.all")}</button>`}
    <//>
    ${query.request_id && html`<div class="notice"><p>${t("quarantine.of.call")} <span class="mono">${query.request_id}</span> <button type="button" class="button small" onClick=${() => ask({ request_id: null })}>${t("filters.none")}</button></p></div>`}
    ${(groups.length > 0 || query.code) && html`<${Segments} label=${t("reason")} value=${query.code ?? ""} set=${(/** @type {string} */ code) => ask({ code })}
      options=${[["", t("all")], ...(query.code && !groups.some(([code]) => code === query.code) ? [[query.code, query.code]] : []), ...groups.map(([code, count]) => [code, `${named("code", code)} (${count})`])]} />`}
    <${Card} key=${list.isLoading && list.rows.length === 0 ? "loading" : "loaded"} bare><${PagedTable} list=${list} caption=${t("quarantine")} keyOf=${(/** @type {any} */ row) => row.id} columns=${columns()}
      empty=${html`<${Empty} icon="check" title=${t("quarantine.none")}><p>${t("quarantine.none.detail")}</p><//>`} /><//>
    ${asked === "retry" && html`<${RetryMany} rows=${list.rows} onClose=${() => { setAsked(""); void list.reload(); }} />`}
    ${asked === "delete" && html`<${DeleteMany} filters=${filters} onClose=${() => { setAsked(""); void list.reload(); }} />`}
  </div>`;
}

/** @param {any[]} rows @returns {[string, number][]} */
function grouped(rows) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const code of rows.flatMap((row) => row.codes)) counts.set(code, (counts.get(code) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** @returns {import("../parts/table.js").Column[]} */
const columns = () => [
  { title: t("received"), look: "nowrap", cell: (row) => html`<a href=${to(`/quarantine/${part(row.id)}`)}>${format.exactInstant(row.received_at)}</a>` },
  { title: t("reason"), cell: (row) => row.codes.map((/** @type {string} */ code) => named("code", code)).join(", ") },
  { title: t("contract"), cell: (row) => html`<span class="mono">${row.contract ?? "–"}</span>` },
  { title: t("form"), cell: (row) => `${row.form.toUpperCase()}${row.mapping ? ` · ${row.mapping.split("@")[0]}` : ""}` },
  { title: t("size"), look: "num", cell: (row) => format.size(row.bytes) },
  { title: t("expires"), look: "nowrap num", label: t("expires"), cell: (row) => format.ago(row.expires_at) },
];

/** The number of retries that are under way at once. */
const AT_ONCE = 4;

/** @param {{ rows: any[], onClose: () => void }} properties */
function RetryMany({ rows, onClose }) {
  const [state, setState] = useState({ done: 0, stored: 0, refused: 0, isOver: false });
  const running = useAction(async () => {
    const open = [...rows];
    const work = async () => {
      for (let row = open.shift(); row; row = open.shift()) {
        const stored = await get(`/v1/quarantine/${part(row.id)}/retry`, { method: "POST" }).then(() => true, (problem) => {
          if ([409, 422, 400, 404, 410].includes(problem.status)) return false;
          throw problem;
        });
        setState((before) => ({ ...before, done: before.done + 1, stored: before.stored + (stored ? 1 : 0), refused: before.refused + (stored ? 0 : 1) }));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    setState((before) => ({ ...before, isOver: true }));
  });
  return html`<${Dialog} title=${t("quarantine.retry.all")} confirm=${state.isOver ? t("close") : t("quarantine.retry.count", { count: rows.length })} isBusy=${running.isBusy}
      onConfirm=${() => (state.isOver ? onClose() : void running.run())} onClose=${onClose}>
    <p>${t("quarantine.retry.detail")}</p>
    ${state.done > 0 && html`<progress max=${rows.length} value=${state.done} aria-label=${t("progress")}></progress>
      <p role="status">${t("quarantine.retry.result", { stored: state.stored, refused: state.refused, all: rows.length })}</p>`}
    <${ProblemNotice} problem=${running.problem} />
  <//>`;
}

/** @param {{ filters: Record<string, string | undefined>, onClose: () => void }} properties */
function DeleteMany({ filters, onClose }) {
  const [until] = useState(() => new Date().toISOString());
  const deleting = useAction(async () => {
    let more = true;
    while (more) ({ more } = await get("/v1/quarantine", { method: "DELETE", query: { ...filters, received_to: until } }));
    onClose();
  });
  return html`<${Dialog} title=${t("quarantine.delete.all")} danger confirm=${t("delete")} isBusy=${deleting.isBusy} onConfirm=${() => void deleting.run()} onClose=${onClose}>
    <p>${t("quarantine.delete.detail")}</p><${ProblemNotice} problem=${deleting.problem} /><//>`;
}

/** @param {{ id: string }} properties */
function RefusedRecord({ id }) {
  const { data, problem, reload } = useLoaded((signal) => get(`/v1/quarantine/${part(id)}`, { signal }), [id]);
  return html`<div class="page">
    <${PageHead} title=${t("quarantine.record")} lead=${html`<span class="mono small">${id}</span>`} />
    <${ProblemNotice} problem=${problem} onRetry=${reload} />
    ${!data && !problem && html`<div class="card"><${Skeleton} rows=${8} /></div>`}
    ${data && html`<div class="grid-2"><${Mend} key=${data.id} record=${data} />
      <div class="page"><${Violations} violations=${data.violations} total=${data.violation_count} /><${Card} title=${t("facts")}><${Facts} record=${data} /><//></div></div>`}
  </div>`;
}

/** @param {{ record: any }} properties */
const Facts = ({ record }) => html`<dl class="facts">
  <${Fact} term=${t("received")}>${format.exactInstant(record.received_at)}<//>
  <${Fact} term=${t("expires")}>${format.exactInstant(record.expires_at)}<//>
  <${Fact} term=${t("contract")}><span class="mono">${record.contract ?? "–"}</span><//>
  <${Fact} term=${t("form")}>${record.form.toUpperCase()}<//>
  ${record.mapping && html`<${Fact} term=${t("mapping")}><span class="mono small">${record.mapping}</span><//>`}
  <${Fact} term=${t("call")}><a class="mono small" href=${to("/quarantine", { request_id: record.request_id })}>${record.request_id}</a><//>
</dl>`;

/** @param {{ violations: import("../core/api.js").Violation[], total: number }} properties */
export const Violations = ({ violations, total }) => html`<${Card} title=${t("violations", { count: total })} bare><ul class="issues">${violations.map((violation, index) => html`<li key=${index}><div class="quiet-row">
  <div><strong>${named("code", violation.code)}</strong>${violation.pointer && html` <code>${violation.pointer}</code>`}<br /><span lang="en">${violation.detail}</span>
    ${(violation.expected || violation.actual) && html`<br /><span class="small muted">${violation.expected && `${t("expected")} ${violation.expected}`} ${violation.actual && `· ${t("found")} ${violation.actual}`}</span>`}</div></div></li>`)}</ul><//>`;

/** @param {any} record */
function documentOf(record) {
  if (record.record === null || record.record === undefined) return null;
  if (record.form !== "json" && record.form !== "keyed") return record.record;
  try {
    const parsed = JSON.parse(record.record);
    return JSON.stringify(record.form === "keyed" && parsed.document ? parsed.document : parsed, null, 2);
  } catch {
    return record.record;
  }
}

/** @param {{ record: any }} properties */
function Mend({ record }) {
  const text = documentOf(record);
  const [draft, setDraft] = useState(text ?? "");
  const isJson = record.form === "json" || record.form === "keyed";
  const path = `/v1/quarantine/${part(record.id)}`;
  const retrying = useAction(async (/** @type {boolean} */ asCorrection) => {
    const body = isJson && draft !== text ? { body: draft, headers: { "Content-Type": "application/json" } } : {};
    const stored = await get(`${path}/retry`, { method: "POST", query: { on_conflict: asCorrection ? "correct" : undefined }, ...body });
    go(`/requests/${part(stored.id)}`);
  });
  const deleting = useAction(async () => { await get(path, { method: "DELETE" }); go("/quarantine"); });
  const isConflict = record.codes.includes("conflict") || retrying.problem?.kind === "conflict";
  return html`<${Card} title=${t("document")} note=${isJson ? t("quarantine.mend") : t("quarantine.mend.not")}>
    <form class="page" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); void retrying.run(false); }}>
      ${isJson ? html`<${Field} label=${t("document")} value=${draft} set=${setDraft} rows=${Math.min(30, Math.max(8, draft.split("\n").length))} disabled=${!can("mass:write")} />`
        : html`<pre class="json" tabindex="0">${text ?? t("quarantine.binary")}</pre>`}
      ${retrying.problem && html`<${ProblemNotice} problem=${retrying.problem} />`}
      <${ProblemNotice} problem=${deleting.problem} />
      ${can("mass:write") && html`<div class="buttons"><button class="button primary" disabled=${retrying.isBusy}><${Icon} name="check" />${t(draft !== text ? "quarantine.send.mended" : "again")}</button>
        ${isConflict && html`<button type="button" class="button" disabled=${retrying.isBusy} onClick=${() => void retrying.run(true)}>${t("quarantine.send.correction")}</button>`}
        <button type="button" class="button danger" disabled=${deleting.isBusy} onClick=${() => void deleting.run()}>${t("delete")}</button></div>`}
    </form><//>`;
}
