// The tenants of the installation, for those who administer it: their state, what they use, and their way out.
import { get, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction, useLoaded } from "../core/loading.js";
import { caller } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { t } from "../core/words.js";
import { Badge, Card, Dialog, Empty, Field } from "../parts/controls.js";
import { ProblemNotice, wrongAt } from "../parts/problem.js";
import { PagedTable, usePages } from "../parts/table.js";

/** The steps of a tenant in each state. @type {Record<string, Step[]>} */
const STEPS = { active: ["suspend"], suspended: ["resume", "deletion"], deletion_requested: ["cancel"] };

/** @typedef {"suspend" | "resume" | "deletion" | "cancel"} Step */

/** @type {Record<Step, string>} */
const PATHS = { suspend: "suspend", resume: "resume", deletion: "deletion", cancel: "deletion/cancel" };

/** What the tenants use, by their names. @param {AbortSignal} signal */
const loadUsage = async (signal) => new Map((await get("/v1/admin/usage", { query: { limit: 100 }, signal })).items.map((/** @type {any} */ one) => [one.tenant, one]));

export function Tenants() {
  const list = usePages("/v1/admin/tenants", { limit: 100 });
  const usage = useLoaded(loadUsage, []);
  const [isNew, setNew] = useState(false);
  const [asked, setAsked] = useState(/** @type {{ tenant: any, step: Step } | null} */ (null));
  const close = () => { setNew(false); setAsked(null); void list.reload(); usage.reload(); };
  const used = (/** @type {any} */ row, /** @type {(one: any) => any} */ write) => { const one = usage.data?.get(row.id); return one ? write(one) : "–"; };
  return html`<${ProblemNotice} problem=${usage.problem} onRetry=${usage.reload} />
    <${Card} title=${t("admin.tenants")} note=${t("admin.tenants.note")} bare actions=${html`<button type="button" class="button primary" onClick=${() => setNew(true)}>${t("admin.tenants.new")}</button>`}>
    <${PagedTable} list=${list} caption=${t("admin.tenants")} keyOf=${(/** @type {any} */ row) => row.id} empty=${html`<${Empty} icon="admin" title=${t("nothing.here")} />`}
      columns=${[
        { title: t("tenant"), cell: (/** @type {any} */ row) => html`<span class="mono">${row.id}</span><span class="sub nowrap">${t("admin.tenants.since", { at: format.day(row.created_at) })}</span>` },
        { title: t("state"), cell: (/** @type {any} */ row) => html`<${Badge} name=${row.status} /><span class="sub">${dateOf(row)}</span>` },
        { title: t("admin.tenants.documents"), label: t("admin.tenants.documents"), look: "num", cell: (/** @type {any} */ row) => used(row, (one) => html`${format.count(one.documents)}<span class="sub">${t("admin.tenants.today", { count: format.count(one.requests_today) })}</span>`) },
        { title: t("size"), label: t("size"), look: "num", cell: (/** @type {any} */ row) => used(row, (one) => format.size(one.stored_bytes)) },
        { title: t("devices"), label: t("devices"), look: "num", cell: (/** @type {any} */ row) => used(row, (one) => html`${format.count(one.devices)}<span class="sub">${t("admin.tenants.users", { count: format.count(one.users) })}</span>`) },
        { title: t("admin.tenants.received"), label: t("admin.tenants.received"), look: "num wide", cell: (/** @type {any} */ row) => used(row, (one) => format.ago(one.last_received_at)) },
        { title: t("change"), look: "wide right", cell: (/** @type {any} */ row) => html`<div class="buttons">${stepsOf(row).map((step) => html`<button type="button" key=${step} class="button small ${step === "deletion" ? "danger" : ""}" onClick=${() => setAsked({ tenant: row, step })}>${t(`admin.tenants.${step}`)}<span class="visually-hidden"> ${row.id}</span></button>`)}</div>` },
      ]} /><//>
    ${isNew && html`<${NewTenant} onClose=${close} />`}
    ${asked && html`<${StepDialog} ...${asked} onClose=${close} />`}`;
}

/** Nobody suspends the tenant that he is logged in to. @param {any} tenant @returns {Step[]} */
const stepsOf = (tenant) => (tenant.id === caller.value?.tenant_id ? [] : STEPS[tenant.status] ?? []);

/** Writes the date that belongs to a state. @param {any} tenant */
function dateOf({ status, suspended_at: suspended, deletion_due_at: due, erased_at: erased }) {
  if (status === "suspended") return t("admin.tenants.since", { at: format.instant(suspended) });
  if (status === "deletion_requested") return t("admin.tenants.due", { at: format.instant(due) });
  return status === "erased" ? t("admin.tenants.gone", { at: format.instant(erased) }) : "";
}

/** @param {{ tenant: any, step: Step, onClose: () => void }} properties */
function StepDialog({ tenant, step, onClose }) {
  const [reason, setReason] = useState("");
  const [typed, setTyped] = useState("");
  const isLast = step === "deletion";
  const acting = useAction(async () => { await get(`/v1/admin/tenants/${part(tenant.id)}/${PATHS[step]}`, { method: "POST", json: { reason: reason.trim() } }); onClose(); });
  return html`<${Dialog} title=${t(`admin.tenants.${step}.of`, { tenant: tenant.id })} danger=${isLast || step === "suspend"} confirm=${t(`admin.tenants.${step}`)} isBusy=${acting.isBusy || (isLast && typed !== tenant.id)} onConfirm=${() => void acting.run()} onClose=${onClose}>
    <p>${t(`admin.tenants.${step}.detail`)}</p>
    <${ProblemNotice} problem=${acting.problem} without=${["/reason"]} />
    <${Field} label=${t("reason")} required maxlength="500" hint=${t("admin.tenants.reason.hint")} value=${reason} set=${setReason} wrong=${wrongAt(acting.problem, "/reason")} />
    ${isLast && html`<${Field} label=${t("admin.tenants.type", { tenant: tenant.id })} required autocomplete="off" value=${typed} set=${setTyped} />`}<//>`;
}

/** @param {{ onClose: () => void }} properties */
function NewTenant({ onClose }) {
  const [id, setId] = useState("");
  const [email, setEmail] = useState("");
  const [made, setMade] = useState(/** @type {any} */ (null));
  const making = useAction(async () => setMade(await get("/v1/admin/tenants", { method: "POST", json: { id, admin: { email } } })));
  if (made) return html`<${Dialog} title=${t("admin.tenants.made", { tenant: made.id })} confirm=${t("close")} onConfirm=${onClose} onClose=${onClose}>
    <p>${t("admin.tenants.password", { email: made.admin.email })}</p><pre class="mono">${made.admin.password}</pre><//>`;
  return html`<${Dialog} title=${t("admin.tenants.new")} confirm=${t("create")} isBusy=${making.isBusy} onConfirm=${() => void making.run()} onClose=${onClose}>
    <${ProblemNotice} problem=${making.problem} without=${["/id", "/admin/email"]} />
    <${Field} label=${t("admin.tenants.slug")} required pattern="[a-z0-9](?:[a-z0-9\\-]{0,61}[a-z0-9])?" hint=${t("admin.tenants.slug.hint")} value=${id} set=${setId} wrong=${wrongAt(making.problem, "/id")} />
    <${Field} label=${t("admin.tenants.admin")} type="email" required value=${email} set=${setEmail} wrong=${wrongAt(making.problem, "/admin/email")} /><//>`;
}
