// The audit trail: its size and signature, its events, and the verification of a receipt in this browser.
import { download, get, part } from "../core/api.js";
import { recall, store } from "../core/choices.js";
import * as format from "../core/format.js";
import { useAction, useLoaded } from "../core/loading.js";
import { bytesOfHex, canVerify, isConsistent, isSigned, readCheckpoint, verifyReceipt } from "../core/proofs.js";
import { ask, to } from "../core/router.js";
import { can, caller } from "../core/session.js";
import { html, useEffect, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Badge, Card, Empty, Fact, Field, PageHead, Skeleton } from "../parts/controls.js";
import { JsonDocument } from "../parts/document.js";
import { Icon } from "../parts/icons.js";
import { ProblemNotice } from "../parts/problem.js";
import { PagedTable, usePages } from "../parts/table.js";

/** @param {{ parts: string[], query: Record<string, string> }} properties */
export default function Audit({ parts, query }) {
  const tab = can("audit:read") ? (parts[0] ?? "log") : "verify";
  return html`<div class="page">
    <${PageHead} title=${t("audit")} lead=${t("audit.lead")} />
    ${can("audit:read") && html`<nav class="tabs" aria-label=${t("audit")}>${["log", "events", "verify"].map((name) => html`<a key=${name} href=${to(name === "log" ? "/audit" : `/audit/${name}`)}
      aria-current=${tab === name ? "page" : null}>${t(/** @type {any} */ (`audit.tab.${name}`))}</a>`)}</nav>`}
    ${!canVerify() && html`<div class="notice warn"><p>${t("audit.insecure")}</p></div>`}
    ${tab === "log" ? html`<${Log} />` : tab === "events" ? html`<${Events} query=${query} />` : html`<${Verify} request=${query.request ?? ""} />`}
  </div>`;
}

/** The checkpoint that this browser has seen last, which the next one has to begin with. */
const seenKey = () => `checkpoint.${caller.value?.tenant_id}`;

/** @param {AbortSignal} signal */
async function loadLog(signal) {
  const [answer, key] = await Promise.all([get("/v1/audit/checkpoint", { signal }), get("/.well-known/mass-audit-key", { signal })]);
  if (!canVerify()) return { answer, key, isGood: null, before: null };
  const checkpoint = readCheckpoint(answer.checkpoint);
  const isGood = await isSigned(checkpoint, key.key);
  const kept = recall(seenKey());
  const before = kept ? readCheckpoint(kept) : null;
  let isExtended = null;
  if (before && before.origin === checkpoint.origin && before.size > 0) {
    const { hashes } = before.size === checkpoint.size ? { hashes: [] } : await get("/v1/audit/proofs/consistency", { query: { from: before.size, to: checkpoint.size }, signal });
    isExtended = await isConsistent(before, checkpoint, hashes.map(bytesOfHex));
  }
  if (isGood && isExtended !== false) store(seenKey(), answer.checkpoint);
  return { answer, key, isGood, before: before && isExtended !== null ? { size: before.size, isExtended } : null };
}

function Log() {
  const { data, problem, reload } = useLoaded(loadLog, []);
  const exporting = useAction(() => download("/v1/audit/export", "audit.ndjson", { headers: { Accept: "application/x-ndjson" } }));
  if (problem) return html`<${ProblemNotice} problem=${problem} onRetry=${reload} />`;
  if (!data) return html`<div class="card"><${Skeleton} rows=${5} height=${32} /></div>`;
  const { answer, key, isGood, before } = data;
  return html`<${Card} title=${t("audit.signed")} note=${answer.origin} actions=${html`<button type="button" class="button" disabled=${exporting.isBusy} onClick=${() => void exporting.run()}><${Icon} name="download" />${t("audit.export")}</button>`}>
    <dl class="facts">
      <${Fact} term=${t("events")}><strong>${format.count(answer.size)}</strong><//>
      <${Fact} term=${t("audit.root")}><span class="mono small">${answer.root}</span><//>
      <${Fact} term=${t("audit.key")}><span class="mono small">${key.key}</span><//>
      ${isGood !== null && html`<${Fact} term=${t("audit.step.signature")}><${Badge} name=${String(isGood)} words=${t(isGood ? "audit.signature.good" : "audit.signature.bad")} /><//>`}
      ${before && html`<${Fact} term=${t("audit.before")}><${Badge} name=${String(before.isExtended)} words=${t(before.isExtended ? "audit.before.good" : "audit.before.bad", { size: format.count(before.size) })} /><//>`}
    </dl>
    <p class="small muted">${t("audit.here")}</p>
    <details><summary>${t("audit.checkpoint")}</summary><pre tabindex="0">${answer.checkpoint}</pre></details>
    <${ProblemNotice} problem=${exporting.problem} />
  <//>`;
}

const ACTIONS = ["accepted", "payload_refused", "corrected", "reinstated", "status_changed", "deleted", "sent", "delivered", "delivery_failed", "delivery_replayed", "delivery_cancelled", "logged_in", "logged_out", "session_revoked", "credentials_refused", "access_refused", "password_changed", "password_reset", "second_factor_enrolled", "second_factor_proved", "second_factor_removed", "recovery_codes_replaced", "tenant_created", "tenant_suspended", "tenant_resumed", "tenant_deletion_requested", "tenant_deletion_cancelled", "tenant_erased", "user_created", "user_changed", "user_deleted", "api_key_created", "api_key_revoked", "quotas_set", "settings_set", "retention_set", "legal_hold_set", "legal_hold_released", "mapping_set", "mapping_deleted", "savings_created", "savings_changed", "savings_adjusted", "savings_scheduled", "savings_day_confirmed", "savings_deleted", "savings_report_requested", "savings_reported", "savings_report_failed", "savings_report_deleted", "audit_exported", "audit_archived"];

/** @param {{ query: Record<string, string> }} properties */
function Events({ query }) {
  const filters = { action: query.action, outcome: query.outcome, actor_kind: query.actor_kind };
  const list = usePages("/v1/audit/events", { ...filters, limit: 50 });
  const choice = (/** @type {string} */ name, /** @type {any} */ label, /** @type {string} */ group, /** @type {string[]} */ options) => html`<${Field} label=${label} value=${query[name] ?? ""}
    set=${(/** @type {string} */ value) => ask({ [name]: value })} options=${[["", t("all")], ...options.map((one) => [one, named(group, one)])]} />`;
  return html`<div class="filters">${choice("action", t("audit.action"), "action", ACTIONS)}${choice("outcome", t("outcome"), "state", ["success", "refused"])}${choice("actor_kind", t("sender"), "actor", ["user", "api_key", "system", "stranger"])}</div>
    <${Card} bare><${PagedTable} list=${list} caption=${t("events")} keyOf=${(/** @type {any} */ row) => String(row.sequence)} columns=${columns()} empty=${html`<${Empty} icon="audit" title=${t("audit.none")}><p>${t("requests.none.such.detail")}</p><//>`} /><//>`;
}

/** @returns {import("../parts/table.js").Column[]} */
const columns = () => [
  { title: t("audit.event"), look: "num", cell: (row) => format.count(row.sequence) },
  { title: t("at"), look: "nowrap", cell: (row) => format.exactInstant(row.at) },
  { title: t("audit.action"), cell: (row) => named("action", row.action) },
  { title: t("outcome"), cell: (row) => html`<${Badge} name=${row.outcome} />` },
  { title: t("sender"), cell: (row) => html`${named("actor", row.actor.kind)}<span class="sub">${row.actor.address ?? ""}</span>` },
  { title: t("audit.object"), look: "wide", cell: (row) => objectCell(row.object) },
  { title: t("detail"), look: "wide", cell: (row) => Object.keys(row.detail ?? {}).length > 0 && html`<details><summary class="small">${t("detail")}</summary><${JsonDocument} value=${row.detail} /></details>` },
];

/** @param {{ kind: string, id?: string | null }} object */
const objectCell = (object) => (object.kind === "mass_request" && object.id ? html`<a class="mono small" href=${to(`/requests/${part(object.id)}`)}>${object.id}</a>` : html`${named("object", object.kind)} <span class="mono small">${object.id ?? ""}</span>`);

/** @param {{ request: string }} properties */
function Verify({ request }) {
  const [text, setText] = useState("");
  const [document, setDocument] = useState("");
  const [key, setKey] = useState("");
  const [steps, setSteps] = useState(/** @type {{ step: string, good: boolean, found: string }[] | null} */ (null));
  const fetching = useAction(async () => {
    const path = `/v1/mass-requests/${part(request)}`;
    const [receipt, stored] = await Promise.all([get(`${path}/receipt`), get(path)]);
    setText(JSON.stringify(receipt, null, 2));
    setDocument(JSON.stringify(stored.document, null, 2));
  });
  const asking = useAction(async () => setKey((await get("/.well-known/mass-audit-key")).key));
  const verifying = useAction(async () => setSteps(await verifyReceipt(JSON.parse(text), key, document.trim() ? JSON.parse(document) : undefined)));
  useEffect(() => {
    void asking.run();
    if (request) void fetching.run();
  }, [request]);
  const isGood = steps?.every(({ good }) => good);
  const change = (/** @type {(value: string) => void} */ set) => (/** @type {string} */ value) => { setSteps(null); set(value); };
  return html`<div class="grid-2">
    <${Card} title=${t("audit.verify")} note=${t("audit.here")}><form class="page" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); setSteps(null); void verifying.run(); }}>
      <${ProblemNotice} problem=${fetching.problem ?? asking.problem} />
      <${Field} label=${t("receipt")} value=${text} set=${change(setText)} rows=${8} required hint=${t("audit.receipt.hint")} />
      <${Field} label=${t("audit.document")} value=${document} set=${change(setDocument)} rows=${5} hint=${t("audit.document.hint")} />
      <${Field} label=${t("audit.key")} value=${key} set=${change(setKey)} required class="mono" hint=${t("audit.key.hint")} />
      <div class="buttons"><button class="button primary" disabled=${verifying.isBusy || !canVerify()}>${t("verify")}</button>
        <label class="button">${t("audit.file")}<input class="visually-hidden" type="file" accept=".json" onChange=${async (/** @type {Event} */ event) => {
          const [file] = /** @type {HTMLInputElement} */ (event.target).files ?? [];
          if (file) change(setText)(await file.text());
        }} /></label></div>
    </form><//>
    <${Card} title=${t("verdict")}>
      ${verifying.problem ? html`<div class="notice bad" role="alert"><strong>${t("audit.unreadable")}</strong><p>${verifying.problem.message}</p></div>`
        : steps === null ? html`<${Empty} icon="audit" title=${t("audit.verdict.none")}><p>${t("audit.verdict.none.detail")}</p><//>`
        : html`<div class="notice ${isGood ? "good" : "bad"}" role="status"><strong>${t(isGood ? "audit.verdict.good" : "audit.verdict.bad")}</strong></div>
          <ul class="steps">${steps.map(({ step, good, found }) => html`<li key=${step}><${Badge} name=${String(good)} words=${t(good ? "audit.step.good" : "audit.step.bad")} /><div>${t(/** @type {any} */ (`audit.step.${step}`))}<br /><span class="mono small muted">${found}</span></div></li>`)}</ul>`}
    <//></div>`;
}

