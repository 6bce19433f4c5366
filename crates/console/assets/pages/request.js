// One request: its document with warnings at their place, what happened to it, its receipt, and what was recommended.
import { get, handOver, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction, useLoaded } from "../core/loading.js";
import { go, to } from "../core/router.js";
import { can } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Badge, Card, Dialog, Fact, Field, PageHead, Skeleton } from "../parts/controls.js";
import { JsonDocument } from "../parts/document.js";
import { Icon } from "../parts/icons.js";
import { ProblemNotice, Said } from "../parts/problem.js";

/** @param {{ id: string }} properties */
export function Request({ id }) {
  const path = `/v1/mass-requests/${part(id)}`;
  const request = useLoaded((signal) => get(path, { signal }), [id]);
  const events = useLoaded((signal) => get(`${path}/events`, { signal }), [id]);
  const advice = useLoaded((signal) => get(`${path}/recommendations`, { signal }), [id]);
  const reload = () => { request.reload(); events.reload(); advice.reload(); };
  const { data } = request;
  return html`<div class="page">
    <${PageHead} title=${data?.device_id ?? data?.site_id ?? t("request")} lead=${html`<span class="mono small">${id}</span>`}>
      ${data && html`<${Badge} name=${data.status} /><${Actions} request=${data} path=${path} reload=${reload} />`}
    <//>
    <${ProblemNotice} problem=${request.problem} onRetry=${request.reload} />
    ${data?.corrected_by && html`<div class="notice warn"><strong>${t("superseded")}</strong><p><a href=${to(`/requests/${part(data.corrected_by)}`)}>${t("superseded.by")}</a></p></div>`}
    ${data?.corrects && html`<div class="notice"><p>${t("corrects")} <a class="mono" href=${to(`/requests/${part(data.corrects)}`)}>${data.corrects}</a></p></div>`}
    ${!request.problem && html`<div class="grid-2">
      <${Card} title=${t("document")} note=${data?.warnings.length ? t("warnings", { count: data.warnings.length }) : t("warnings.none")}>
        ${data ? html`<${JsonDocument} value=${data.document} remarks=${data.warnings} />` : html`<${Skeleton} rows=${8} />`}<//>
      <div class="page"><${Card} title=${t("facts")}>${data ? html`<${Facts} request=${data} />` : html`<${Skeleton} rows=${6} />`}<//>
        <${Advice} loaded=${advice} /></div>
    </div>
    <${Events} loaded=${events} />`}
  </div>`;
}

/** @param {{ request: any }} properties */
const Facts = ({ request }) => html`<dl class="facts">
  <${Fact} term=${t("contract")}><span class="mono">${request.contract}</span><//>
  <${Fact} term=${t("observed")}>${format.exactInstant(request.observed_at)}<//>
  <${Fact} term=${t("stored")}>${format.exactInstant(request.created_at)}<//>
  <${Fact} term=${t("outcome")}>${named("state", request.outcome)}<//>
  <${Fact} term=${t("site")}>${request.site_id ? html`<a href=${to(`/sites/${part(request.site_id)}`)}>${request.site_id}</a>` : "–"}<//>
  <${Fact} term=${t("device")}>${request.device_id ? html`<a href=${to(`/devices/${part(request.device_id)}`)}>${request.device_id}</a>` : "–"}<//>
  <${Fact} term=${t("sender")}>${named("actor", request.created_by.kind)} <span class="mono small">${request.created_by.id}</span><//>
  <${Fact} term=${t("fingerprint")}><span class="mono small">${request.fingerprint}</span><//>
  ${request.audit && html`<${Fact} term=${t("audit.event")}>${format.count(request.audit.sequence)}<//>`}
</dl>`;

/** @param {{ request: any, path: string, reload: () => void }} properties */
function Actions({ request, path, reload }) {
  const [asked, setAsked] = useState("");
  const [reason, setReason] = useState("");
  const receipt = useAction(async () => handOver(new Blob([JSON.stringify(await get(`${path}/receipt`), null, 2)], { type: "application/json" }), `receipt-${request.id}.json`));
  const sending = useAction(async () => { await get(`${path}/send`, { method: "POST" }); reload(); });
  const cancelling = useAction(async () => { await get(`${path}/status`, { method: "PATCH", json: { status: "cancelled", ...(reason ? { reason } : {}) } }); setAsked(""); reload(); });
  const deleting = useAction(async () => { await get(path, { method: "DELETE" }); go("/requests"); });
  const isOpen = request.status === "pending" || request.status === "processing";
  return html`
    <button type="button" class="button" disabled=${receipt.isBusy} onClick=${() => void receipt.run()}><${Icon} name="download" />${t("receipt")}</button>
    <a class="button" href=${to("/audit/verify", { request: request.id })}>${t("verify")}</a>
    ${can("mass:write") && html`
      ${request.contract.startsWith("enterprise/") && isOpen && html`<button type="button" class="button" disabled=${sending.isBusy} onClick=${() => void sending.run()}>${t("send")}</button>`}
      ${isOpen && html`<button type="button" class="button" onClick=${() => setAsked("cancel")}>${t("cancel.request")}</button>`}
      <button type="button" class="button danger" onClick=${() => setAsked("delete")}>${t("delete")}</button>`}
    <${ProblemNotice} problem=${receipt.problem ?? sending.problem} />
    ${asked === "cancel" && html`<${Dialog} title=${t("cancel.request")} confirm=${t("cancel.request")} isBusy=${cancelling.isBusy} onConfirm=${() => void cancelling.run()} onClose=${() => setAsked("")}>
      <${ProblemNotice} problem=${cancelling.problem} /><${Field} label=${t("reason")} value=${reason} set=${setReason} /><//>`}
    ${asked === "delete" && html`<${Dialog} title=${t("delete.request")} danger confirm=${t("delete")} isBusy=${deleting.isBusy} onConfirm=${() => void deleting.run()} onClose=${() => setAsked("")}>
      <p>${t("delete.request.detail")}</p><${ProblemNotice} problem=${deleting.problem} /><//>`}`;
}

/** @param {{ loaded: import("../core/loading.js").Loaded<any> }} properties */
const Events = ({ loaded }) => html`<${Card} title=${t("events")}>
  <${ProblemNotice} problem=${loaded.problem} />
  ${!loaded.data ? html`<${Skeleton} rows=${3} />` : html`<ol class="timeline">${loaded.data.items.map((/** @type {any} */ event) => html`<li key=${event.sequence}>
    <strong>${named("action", event.type)}</strong> <span class="muted small">${format.exactInstant(event.at)} · ${named("actor", event.actor.kind)} · ${t("audit.event")} ${format.count(event.sequence)}</span>
    ${Object.keys(event.detail ?? {}).length > 0 && html`<details><summary class="small muted">${t("detail")}</summary><${JsonDocument} value=${event.detail} /></details>`}</li>`)}</ol>`}
<//>`;

/** @param {{ loaded: import("../core/loading.js").Loaded<any> }} properties */
function Advice({ loaded }) {
  const items = loaded.data?.items ?? [];
  if (loaded.problem) return html`<${ProblemNotice} problem=${loaded.problem} />`;
  if (items.length === 0) return null;
  return items.map((/** @type {any} */ one) => html`<${Card} key=${one.id} title=${t("recommendation")} note=${`${one.model.name} ${one.model.version} · ${one.model.policy}`}
      actions=${html`<${Badge} name=${String(one.valid)} words=${t(one.valid ? "advice.valid" : "advice.flagged")} />`}>
    <p>${one.explanation.narrative}</p>
    <dl class="facts">${one.actions.map((/** @type {any} */ action) => html`<${Fact} term=${action.type.replaceAll("_", " ")}>${format.number(action.current)} → ${format.number(action.suggested)} ${action.units ?? ""} <span class="muted small">${action.target}</span><//>`)}
      <${Fact} term=${t("impact.24")}>${format.number(one.estimated_impact_24h.energy_kwh)} kWh · ${format.money(one.estimated_impact_24h.cost, one.estimated_impact_24h.currency)} · ${format.number(one.estimated_impact_24h.co2e_kg)} kg CO₂e<//>
      <${Fact} term=${t("confidence")}>${format.percent(one.confidence)}<//></dl>
    ${one.flags.length > 0 && html`<ul>${one.flags.map((/** @type {any} */ flag) => html`<li><code>${flag.pointer}</code> <${Said} of=${flag} /></li>`)}</ul>`}
  <//>`);
}

