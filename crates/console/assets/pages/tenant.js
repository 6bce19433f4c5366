// The tenant: what it uses of its quotas, its settings, its mapping profiles, and the deliveries to the engine.
import { get, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction, useLoaded } from "../core/loading.js";
import { ask, to } from "../core/router.js";
import { can } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Badge, Card, Dialog, Empty, Field, Figure, Meter, Segments, Skeleton } from "../parts/controls.js";
import { ProblemNotice, wrongAt } from "../parts/problem.js";
import { PagedTable, Table, usePages } from "../parts/table.js";

const DAY = 86_400_000;

/** @param {AbortSignal} signal */
async function loadUsage(signal) {
  const now = Date.now();
  const period = { from: new Date(now - 30 * DAY).toISOString(), to: new Date(now).toISOString() };
  const [usage, quotas] = await Promise.all([get("/v1/analytics/usage", { query: period, signal }), get("/v1/admin/quotas", { signal })]);
  return { usage, quotas };
}

export function Usage() {
  const { data, problem, reload } = useLoaded(loadUsage, []);
  if (problem) return html`<${ProblemNotice} problem=${problem} onRetry=${reload} />`;
  if (!data) return html`<div key="loading" class="card"><${Skeleton} rows=${5} height=${32} /></div>`;
  const { usage, quotas } = data;
  return html`<dl class="figures">
      <${Quota} term=${t("usage.today")} quota=${usage.requests_today} write=${format.count} />
      <${Quota} term=${t("usage.stored")} quota=${usage.stored_bytes} write=${format.size} />
      <${Figure} term=${t("devices")} value=${format.count(usage.devices)} />
      <${Figure} term=${t("usage.series")} value=${format.count(usage.series)} />
      <${Figure} term=${t("usage.streams")} value=${format.count(usage.open_streams)} /></dl>
    <div class="grid-2"><${QuotaForm} key=${JSON.stringify(quotas)} quotas=${quotas} reload=${reload} />
      <${Card} title=${t("usage.days")} bare>${usage.days.length === 0 ? html`<p class="card-body muted">${t("usage.days.none")}</p>`
        : html`<${Table} caption=${t("usage.days")} rows=${[...usage.days].reverse()} keyOf=${(/** @type {any} */ row) => row.day} columns=${[
          { title: t("day"), cell: (/** @type {any} */ row) => format.day(row.day, "UTC") },
          { title: t("requests"), look: "num", cell: (/** @type {any} */ row) => format.count(row.requests) },
          { title: t("size"), look: "num", label: t("size"), cell: (/** @type {any} */ row) => format.size(row.bytes) },
        ]} />`}<//></div>`;
}

/** @param {{ term: string, quota: any, write: (value: number) => string }} properties */
function Quota({ term, quota, write }) {
  const isBound = quota.allowed !== null && quota.allowed !== undefined;
  return html`<div class="figure"><dt>${term}</dt><dd>${write(quota.used)}
    <div class="note">${isBound ? t("usage.of", { allowed: write(quota.allowed) }) : t("usage.unbound")}</div>
    ${isBound && quota.allowed > 0 && html`<${Meter} share=${quota.used / quota.allowed} label=${format.percent(quota.used / quota.allowed)} />`}</dd></div>`;
}

/** @type {[string, import("../core/words.js").Key][]} */
const QUOTAS = [["requests_per_day", "quota.requests"], ["stored_bytes", "quota.stored"], ["quarantine_bytes", "quota.quarantine"]];

/** @param {{ quotas: any, reload: () => void }} properties */
function QuotaForm({ quotas, reload }) {
  const [draft, setDraft] = useState(/** @type {Record<string, string>} */ (Object.fromEntries(QUOTAS.map(([name]) => [name, String(quotas[name] ?? "")]))));
  const saving = useAction(async () => {
    const json = Object.fromEntries(QUOTAS.map(([name]) => [name, draft[name] ? Number(draft[name]) : null]));
    await get("/v1/admin/quotas", { method: "PUT", json });
    reload();
  });
  return html`<${Card} title=${t("quotas")} note=${t("quotas.note")}><form class="form" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); void saving.run(); }}>
    <${ProblemNotice} problem=${saving.problem} without=${QUOTAS.map(([name]) => `/${name}`)} />
    ${QUOTAS.map(([name, words]) => html`<${Field} key=${name} label=${t(words)} type="number" min="1" max=${Number.MAX_SAFE_INTEGER} wrong=${wrongAt(saving.problem, `/${name}`)} value=${draft[name] ?? ""} set=${(/** @type {string} */ value) => setDraft({ ...draft, [name]: value })} />`)}
    <div><button class="button primary" disabled=${saving.isBusy}>${t("save")}</button></div></form><//>`;
}

export function Settings() {
  const { data, problem, reload } = useLoaded((signal) => get("/v1/admin/settings", { signal }), []);
  const saving = useAction(async (/** @type {any} */ json) => { await get("/v1/admin/settings", { method: "PUT", json }); reload(); });
  if (problem) return html`<${ProblemNotice} problem=${problem} onRetry=${reload} />`;
  if (!data) return html`<div class="card"><${Skeleton} rows=${3} height=${32} /></div>`;
  const choice = (/** @type {"auto_send" | "quarantine" | "second_factor"} */ name) => html`<div class="field"><strong>${t(`setting.${name}`)}</strong><span class="hint">${t(`setting.${name}.detail`)}</span>
    <${Segments} label=${t(`setting.${name}`)} value=${data[name] === null || data[name] === undefined ? "" : String(data[name])}
      options=${[["", t("setting.default")], ["true", t("yes")], ["false", t("no")]]}
      set=${(/** @type {string} */ value) => void saving.run({ ...Object.fromEntries(Object.keys(data.in_force).map((one) => [one, data[one] ?? null])), [name]: value === "" ? null : value === "true" })} />
    <span class="hint">${t("setting.now", { value: t(data.in_force[name] ? "yes" : "no") })}</span></div>`;
  return html`<${Card} title=${t("admin.settings")}><${ProblemNotice} problem=${saving.problem} />${choice("auto_send")}${choice("quarantine")}${choice("second_factor")}<//>`;
}

export function Mappings() {
  const list = usePages("/v1/mappings", { limit: 100 });
  const [edited, setEdited] = useState(/** @type {any} */ (null));
  const mayChange = can("settings:manage");
  return html`<${Card} title=${t("admin.mappings")} note=${t("admin.mappings.note")} bare actions=${mayChange && html`<button type="button" class="button primary" onClick=${() => setEdited({ name: "", text: "", format: "toml" })}>${t("admin.mappings.new")}</button>`}>
    <${PagedTable} list=${list} caption=${t("admin.mappings")} keyOf=${(/** @type {any} */ row) => row.name} empty=${html`<${Empty} icon="import" title=${t("admin.mappings.none")}><p>${t("admin.mappings.none.detail")}</p><//>`}
      columns=${[
        { title: t("name"), cell: (/** @type {any} */ row) => html`<strong>${row.name}</strong>` },
        { title: t("contract"), cell: (/** @type {any} */ row) => html`<span class="mono">${row.contract}</span>` },
        { title: t("updated"), look: "nowrap", cell: (/** @type {any} */ row) => format.instant(row.updated_at) },
        { title: t("change"), look: "right", cell: (/** @type {any} */ row) => html`<button type="button" class="button small" onClick=${async () => setEdited(await get(`/v1/mappings/${part(row.name)}`))}>${t(mayChange ? "change" : "show")}<span class="visually-hidden"> ${row.name}</span></button>` },
      ]} /><//>
    ${edited && html`<${MappingDialog} mapping=${edited} mayChange=${mayChange} onClose=${() => { setEdited(null); void list.reload(); }} />`}`;
}

/** @param {{ mapping: any, mayChange: boolean, onClose: () => void }} properties */
function MappingDialog({ mapping, mayChange, onClose }) {
  const isNew = mapping.name === "";
  const [name, setName] = useState(mapping.name);
  const [text, setText] = useState(mapping.text);
  const path = `/v1/mappings/${part(name)}`;
  // Another change meanwhile is told (412), and not overwritten.
  /** @type {Record<string, string>} */
  const guard = isNew ? { "If-None-Match": "*" } : { "If-Match": `"${mapping.digest}"` };
  const saving = useAction(async () => {
    await get(path, { method: "PUT", body: text, headers: { ...guard, "Content-Type": mapping.format === "json" ? "application/json" : "application/toml" } });
    onClose();
  });
  const deleting = useAction(async () => { await get(path, { method: "DELETE", headers: guard }); onClose(); });
  return html`<${Dialog} title=${isNew ? t("admin.mappings.new") : mapping.name} confirm=${t(mayChange ? "save" : "close")} isBusy=${saving.isBusy} onConfirm=${() => (mayChange ? void saving.run() : onClose())} onClose=${onClose}>
    <${ProblemNotice} problem=${saving.problem ?? deleting.problem} />
    ${isNew && html`<${Field} label=${t("name")} required pattern="[A-Za-z0-9._\\-]{1,64}" value=${name} set=${setName} />`}
    <${Field} label=${`${t("mapping")} (${mapping.format.toUpperCase()})`} rows=${16} required value=${text} set=${setText} readonly=${!mayChange} />
    ${!isNew && mayChange && html`<div><button type="button" class="button danger small" disabled=${deleting.isBusy} onClick=${() => void deleting.run()}>${t("delete")}</button></div>`}<//>`;
}

const STATES = ["queued", "leased", "delivered", "dead", "cancelled"];

/** @param {{ query: Record<string, string> }} properties */
export function Deliveries({ query }) {
  const [queue, setQueue] = useState(/** @type {any} */ (null));
  const list = usePages("/v1/admin/deliveries", { state: query.state, limit: 50 }, (page) => setQueue(page.queue));
  const acting = useAction(async (/** @type {string} */ id, /** @type {string} */ deed) => { await get(`/v1/admin/deliveries/${part(id)}/${deed}`, { method: "POST" }); await list.reload(); });
  return html`<dl class="figures">${["queued", "retrying", "delivered", "dead"].map((name) => html`<${Figure} key=${name} term=${named("queue", name)} value=${queue && format.count(queue[name])} />`)}
      <${Figure} term=${t("queue.circuit")} value=${queue && (queue.circuit ? named("circuit", queue.circuit) : t("circuit.none"))} /></dl>
    <${ProblemNotice} problem=${acting.problem} />
    <${Segments} label=${t("state")} value=${query.state ?? ""} set=${(/** @type {string} */ state) => ask({ state })} options=${[["", t("all")], ...STATES.map((name) => [name, named("state", name)])]} />
    <${Card} bare><${PagedTable} list=${list} caption=${t("admin.deliveries")} keyOf=${(/** @type {any} */ row) => row.id} empty=${html`<${Empty} icon="check" title=${t("admin.deliveries.none")}><p>${t("recommendations.empty.detail")}</p><//>`}
      columns=${[
        { title: t("request"), cell: (/** @type {any} */ row) => html`<a class="mono small" href=${to(`/requests/${part(row.request_id)}`)}>${row.request_id}</a>` },
        { title: t("state"), cell: (/** @type {any} */ row) => html`<${Badge} name=${row.state} />` },
        { title: t("attempts"), look: "num", label: t("attempts"), cell: (/** @type {any} */ row) => format.count(row.attempts) },
        { title: t("updated"), look: "nowrap", cell: (/** @type {any} */ row) => format.ago(row.updated_at) },
        { title: t("detail"), look: "wide", cell: (/** @type {any} */ row) => row.failure?.detail ?? "" },
        { title: t("change"), look: "right", cell: (/** @type {any} */ row) => actions(row, acting) },
      ]} /><//>`;
}

/** @param {any} row @param {{ isBusy: boolean, run: (id: string, deed: string) => unknown }} acting */
function actions(row, acting) {
  const deed = row.state === "dead" || row.state === "cancelled" ? "replay" : row.state === "queued" ? "cancel" : null;
  return deed && html`<button type="button" class="button small" disabled=${acting.isBusy} onClick=${() => void acting.run(row.id, deed)}>${t(deed === "replay" ? "replay" : "cancel")}</button>`;
}
