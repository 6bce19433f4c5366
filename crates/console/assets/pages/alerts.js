// Alerts: those that are open or were, with the rules that open them and the webhooks that hear of them.
import { get, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction } from "../core/loading.js";
import { ask, to } from "../core/router.js";
import { can } from "../core/session.js";
import { html, useEffect, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Badge, Card, Dialog, Empty, Field, PageHead, Segments } from "../parts/controls.js";
import { ProblemNotice, wrongAt } from "../parts/problem.js";
import { PagedTable, usePages } from "../parts/table.js";
import { Rules, SEVERITIES } from "./alert-rules.js";
import { Notifications, Webhooks } from "./webhooks.js";

/** @type {{ name: string, words: import("../core/words.js").Key, shown: () => boolean, view: any }[]} */
const TABS = [
  { name: "", words: "alerts", shown: () => true, view: List },
  { name: "rules", words: "alerts.rules", shown: () => true, view: Rules },
  { name: "webhooks", words: "alerts.webhooks", shown: () => can("settings:manage"), view: Webhooks },
  { name: "notifications", words: "alerts.notifications", shown: () => can("settings:manage"), view: Notifications },
];

/** @param {{ parts: string[], query: Record<string, string> }} properties */
export default function Alerts({ parts, query }) {
  const shown = TABS.filter((tab) => tab.shown());
  const tab = shown.find(({ name }) => name === (parts[0] ?? "")) ?? shown[0];
  // On a narrow screen, the tab may be beyond the edge.
  useEffect(() => document.querySelector(".tabs [aria-current=page]")?.scrollIntoView({ block: "nearest", inline: "center" }), [tab]);
  return html`<div class="page"><${PageHead} title=${t("alerts")} lead=${t("alerts.lead")} />
    <nav class="tabs" aria-label=${t("alerts")}>${shown.map(({ name, words }) => html`<a key=${name} href=${to(`/alerts${name && `/${name}`}`)} aria-current=${tab?.name === name ? "page" : null}>${t(words)}</a>`)}</nav>
    ${tab && html`<${tab.view} query=${query} />`}
  </div>`;
}

/** The address says `all` for alerts of any state: without a word, those are shown that are open. */
const STATES = ["open", "resolved", "all"];

/** @param {{ query: Record<string, string> }} properties */
function List({ query }) {
  const state = STATES.includes(query.state ?? "") ? query.state : "open";
  const filters = { state: state === "all" ? "" : state, severity: query.severity, rule: query.rule };
  const list = usePages("/v1/alerts", { ...filters, limit: 50 });
  const [asked, setAsked] = useState(/** @type {any} */ (null));
  const isFiltered = Boolean(filters.severity || filters.rule);
  return html`<${Filters} key=${query.rule ?? ""} state=${state} query=${query} problem=${list.problem} />
    <${Card} bare><${PagedTable} list=${list} caption=${t("alerts")} keyOf=${(/** @type {any} */ row) => row.id} columns=${columns(setAsked)}
      empty=${html`<${Empty} icon="check" title=${t(isFiltered ? "alerts.none.such" : state === "open" ? "alerts.none.open" : "alerts.none")}><p>${t("alerts.none.detail")}</p><//>`} /><//>
    ${asked && html`<${Acknowledge} alert=${asked} onClose=${() => { setAsked(null); void list.reload(); }} />`}`;
}

/** @param {{ state: string, query: Record<string, string>, problem: import("../core/api.js").Problem | null }} properties */
function Filters({ state, query, problem }) {
  const [rule, setRule] = useState(query.rule ?? "");
  return html`<form class="filters" role="search" aria-label=${t("filter")} onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); ask({ rule }); }}>
      <${Field} label=${t("severity")} value=${query.severity ?? ""} set=${(/** @type {string} */ severity) => ask({ severity })} options=${[["", t("alerts.all")], ...SEVERITIES.map((name) => [name, named("state", name)])]} />
      <${Field} label=${t("alerts.rule")} value=${rule} set=${setRule} placeholder=${t("alerts.all")} wrong=${wrongAt(problem, "rule")} />
      <div class="buttons"><button class="button">${t("filter")}</button></div></form>
    <${Segments} label=${t("state")} value=${state} set=${(/** @type {string} */ name) => ask({ state: name === "open" ? "" : name })}
      options=${STATES.map((name) => [name, named("alerts", name)])} />`;
}

/** @param {(alert: any) => void} onAsk @returns {import("../parts/table.js").Column[]} */
const columns = (onAsk) => [
  { title: t("alert"), cell: (row) => html`${linked(row)}<span class="sub">${t("alerts.rule")} <a class="mono" href=${to("/alerts", { state: "all", rule: row.rule })}>${row.rule}</a></span>` },
  { title: t("severity"), cell: (row) => html`<${Badge} name=${row.severity} />` },
  { title: t("alerts.since"), label: t("alerts.since"), look: "nowrap", cell: (row) => html`<span title=${format.exactInstant(row.since)}>${format.instant(row.since)}</span>` },
  { title: t("state"), cell: (row) => html`<${Badge} name=${row.state} />${row.resolution && html`<span class="sub">${format.instant(row.resolved_at)}<br />${named("resolution", row.resolution)}</span>`}` },
  { title: t("alerts.looked.after"), cell: (row) => row.acknowledgement ? html`${row.acknowledgement.note ?? t("yes")}<span class="sub">${format.instant(row.acknowledgement.at)}</span>` : html`<span class="muted">${t("alerts.nobody")}</span>` },
  { title: t("change"), look: "right", cell: (row) => row.state === "open" && can("alerts:manage") && html`<button type="button" class="button small" onClick=${() => onAsk(row)}>${t("alerts.acknowledge")}<span class="visually-hidden"> ${sentence(row)}</span></button>` },
];

/** Writes what an alert says, as a link to what it is about. @param {any} alert */
function linked(alert) {
  const { kind, device_id: device, site_id: site } = alert.subject;
  const path = device ? `/devices/${part(device)}` : site ? `/sites/${part(site)}` : PLACES[kind];
  return path ? html`<a href=${to(path, kind === "deliveries" ? { state: "dead" } : {})}>${sentence(alert)}</a>` : html`<span>${sentence(alert)}</span>`;
}

/** @type {Record<string, string>} */
const PLACES = { quarantine: "/quarantine", deliveries: "/admin/deliveries", audit_trail: "/audit" };

/** Says in the user's language what an alert is about; the server's sentences are English. @param {any} alert */
export const sentence = ({ kind, subject, value }) => t(/** @type {any} */ (`alert.${kind}`), {
  subject: subjectOf(subject), metric: named("metric", subject.metric), value: kind === "device_silent" ? format.duration(value) : format.number(value),
});

/** @param {any} subject */
function subjectOf({ kind, device_id: device, site_id: site, id }) {
  const place = [device, site].filter(Boolean).join(" · ");
  return place || (id ? `${named("subject", kind)} ${id}` : named("subject", kind === "series" ? "tenant" : kind));
}

/** @param {{ alert: any, onClose: () => void }} properties */
function Acknowledge({ alert, onClose }) {
  const [note, setNote] = useState(alert.acknowledgement?.note ?? "");
  const saving = useAction(async () => { await get(`/v1/alerts/${part(alert.id)}/acknowledge`, { method: "POST", json: note.trim() ? { note: note.trim() } : {} }); onClose(); });
  return html`<${Dialog} title=${t("alerts.acknowledge")} confirm=${t("alerts.acknowledge")} isBusy=${saving.isBusy} onConfirm=${() => void saving.run()} onClose=${onClose}>
    <p>${sentence(alert)}</p><p class="small muted">${t("alerts.acknowledge.detail")}</p>
    <${ProblemNotice} problem=${saving.problem} without=${["/note"]} />
    <${Field} label=${t("alerts.note")} rows=${3} maxlength="1000" value=${note} set=${setNote} wrong=${wrongAt(saving.problem, "/note")} /><//>`;
}
