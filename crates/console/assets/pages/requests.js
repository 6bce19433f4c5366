// Requests: the list with the filters of the API, and one of them with all that is known about it.
import { download, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction } from "../core/loading.js";
import { ask, to } from "../core/router.js";
import { html, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Badge, Card, Empty, Field, PageHead } from "../parts/controls.js";
import { Icon } from "../parts/icons.js";
import { ProblemNotice, wrongAt } from "../parts/problem.js";
import { CONTRACTS } from "../parts/records.js";
import { PagedTable, usePages } from "../parts/table.js";
import { Request } from "./request.js";

/** @param {{ parts: string[], query: Record<string, string> }} properties */
export default function Requests({ parts, query }) {
  return parts[0] ? html`<${Request} id=${parts[0]} />` : html`<${List} query=${query} />`;
}

const STATUSES = ["pending", "processing", "done", "failed", "cancelled"];
/** @type {[string, import("../core/words.js").Key][]} */
const TEXTS = [["site_id", "site"], ["device_id", "device"], ["batch_id", "batch"], ["call_id", "call"], ["correlation_id", "correlation"]];
/** @type {[string, import("../core/words.js").Key][]} */
const TIMES = [["created_from", "created.from"], ["created_to", "created.to"], ["observed_from", "observed.from"], ["observed_to", "observed.to"]];
const NAMES = ["status", "contract", ...TEXTS.map(([name]) => name), ...TIMES.map(([name]) => name)];

/** @param {Record<string, string>} query */
const filtersOf = (query) => Object.fromEntries(NAMES.filter((name) => query[name]).map((name) => [name, query[name]]));

/** @param {{ query: Record<string, string> }} properties */
function List({ query }) {
  const filters = filtersOf(query);
  const list = usePages("/v1/mass-requests", { ...filters, limit: 50 });
  const saving = useAction((/** @type {string} */ media, /** @type {string} */ name) => download("/v1/mass-requests/export", name, { query: filters, headers: { Accept: media } }));
  const isFiltered = Object.keys(filters).length > 0;
  return html`<div class="page">
    <${PageHead} title=${t("requests")} lead=${t("requests.lead")}>
      <button type="button" class="button" disabled=${saving.isBusy} onClick=${() => void saving.run("application/x-ndjson", "requests.ndjson")}><${Icon} name="download" />NDJSON</button>
      ${filters.contract && html`<button type="button" class="button" disabled=${saving.isBusy} onClick=${() => void saving.run("text/csv", "requests.csv")}><${Icon} name="download" />CSV</button>`}
    <//>
    <${ProblemNotice} problem=${saving.problem} />
    <${Filters} key=${JSON.stringify(filters)} filters=${filters} problem=${list.problem} />
    <${Card} bare><${PagedTable} list=${list} caption=${t("requests")} keyOf=${(/** @type {any} */ row) => row.id} columns=${columns()}
      empty=${html`<${Empty} title=${t(isFiltered ? "requests.none.such" : "requests.none")}><p>${t(isFiltered ? "requests.none.such.detail" : "overview.empty.detail")}</p><//>`} /><//>
  </div>`;
}

/** @returns {import("../parts/table.js").Column[]} */
const columns = () => [
  { title: t("observed"), look: "nowrap", cell: (row) => html`<a href=${to(`/requests/${part(row.id)}`)}>${format.exactInstant(row.observed_at ?? row.created_at)}</a>` },
  { title: t("status"), cell: (row) => html`<${Badge} name=${row.status} />` },
  { title: t("contract"), cell: (row) => html`<span class="mono">${row.contract}</span>` },
  { title: t("device"), cell: (row) => row.device_id ?? "" },
  { title: t("site"), cell: (row) => row.site_id ?? "" },
  { title: t("outcome"), cell: (row) => (row.corrected_by ? t("superseded") : named("state", row.outcome)) },
  { title: t("stored"), look: "nowrap num", label: t("stored"), cell: (row) => html`<span title=${format.exactInstant(row.created_at)}>${format.ago(row.created_at)}</span>` },
];

/** @param {{ filters: Record<string, any>, problem: import("../core/api.js").Problem | null }} properties */
function Filters({ filters, problem }) {
  const [draft, setDraft] = useState(/** @type {Record<string, string>} */ (filters));
  const [isOpen, setOpen] = useState(TIMES.some(([name]) => filters[name]) || TEXTS.slice(2).some(([name]) => filters[name]));
  const set = (/** @type {string} */ name) => (/** @type {string} */ value) => setDraft({ ...draft, [name]: value });
  const apply = (/** @type {Record<string, string>} */ chosen) => ask(Object.fromEntries(NAMES.map((name) => [name, chosen[name] ?? null])));
  const field = ([name, words] = /** @type {[string, any]} */ (["", ""])) => html`<${Field} key=${name} label=${t(words)} value=${draft[name] ?? ""} set=${set(name)} wrong=${wrongAt(problem, name)} />`;
  return html`<form class="card" role="search" aria-label=${t("filter")} onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); apply(draft); }}><div class="card-body">
    <div class="filters">
      <${Field} label=${t("status")} value=${draft.status ?? ""} set=${set("status")} options=${[["", t("all")], ...STATUSES.map((name) => [name, named("state", name)])]} />
      <${Field} label=${t("contract")} value=${draft.contract ?? ""} set=${set("contract")} options=${[["", t("all")], ...CONTRACTS.map((name) => [name, name])]} />
      ${TEXTS.slice(0, 2).map(field)}
      ${isOpen && TEXTS.slice(2).map(field)}
      ${isOpen && TIMES.map(([name, words]) => html`<${Field} key=${name} label=${t(words)} type="datetime-local" value=${localOf(draft[name])} set=${(/** @type {string} */ value) => set(name)(instantOf(value))} />`)}
    </div>
    <div class="buttons"><button class="button primary">${t("filter")}</button>
      <button type="button" class="button plain" onClick=${() => setOpen(!isOpen)} aria-expanded=${String(isOpen)}>${t(isOpen ? "filters.fewer" : "filters.more")}</button>
      ${Object.keys(filters).length > 0 && html`<button type="button" class="button plain" onClick=${() => apply({})}>${t("filters.none")}</button>`}</div>
  </div></form>`;
}

/** Writes an instant as the browser's control has it. @param {string | undefined} instant */
function localOf(instant) {
  if (!instant) return "";
  const at = new Date(instant);
  return Number.isNaN(at.getTime()) ? "" : new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {string} local */
const instantOf = (local) => (local ? new Date(local).toISOString() : "");
