// The overview: every site at a glance, and what waits for somebody.
import { get } from "../core/api.js";
import * as format from "../core/format.js";
import { useLoaded } from "../core/loading.js";
import { to } from "../core/router.js";
import { can } from "../core/session.js";
import { html } from "../core/view.js";
import { t } from "../core/words.js";
import { Badge, Card, Empty, Figure, PageHead, Skeleton } from "../parts/controls.js";
import { Icon } from "../parts/icons.js";
import { ProblemNotice } from "../parts/problem.js";
import { latestPue, stateOf } from "../parts/sources.js";

const DAY = 86_400_000;

/** The most rows of a page of the API. */
const MOST = 500;

/** @param {AbortSignal} signal */
async function loadSites(signal) {
  const [sites, devices] = await Promise.all([
    get("/v1/sites", { query: { limit: 100, include: "completeness" }, signal }),
    get("/v1/devices", { query: { limit: MOST }, signal }),
  ]);
  const seen = [...sites.items, ...devices.items].map((source) => Date.parse(source.state?.last_seen ?? "")).filter(Number.isFinite);
  const last = seen.length > 0 ? Math.max(...seen) : Date.now();
  // A pilot that is over is shown as it ended.
  const end = new Date(Date.now() - last < 2 * DAY ? Date.now() : Math.ceil(last / 3_600_000) * 3_600_000);
  const from = new Date(end.getTime() - 30 * DAY);
  const kpis = sites.items.length === 0 ? { items: [] }
    : await get("/v1/analytics/kpis", { query: { from: from.toISOString(), to: end.toISOString() }, signal });
  return { sites: sites.items.map((/** @type {any} */ site) => ({ ...site, state: stateOf(site, devices.items) })), devices: devices.items, areMore: devices.next_cursor !== null && devices.next_cursor !== undefined, kpis: kpis.items, from, end };
}

/** @param {AbortSignal} signal */
async function loadIssues(signal) {
  const [alerts, quarantine, deliveries, audit] = await Promise.all([
    can("alerts:read") ? get("/v1/alerts", { query: { state: "open", limit: MOST }, signal }) : null,
    can("mass:read") ? get("/v1/quarantine", { query: { limit: MOST }, signal }) : null,
    // Whoever may see everything finds the dead letters one step further: a page asks six times at most.
    can("deliveries:manage") && !can("audit:read") ? get("/v1/admin/deliveries", { query: { limit: 1 }, signal }) : null,
    can("audit:read") ? get("/v1/audit/checkpoint", { signal }).catch((problem) => ({ problem })) : null,
  ]);
  return { alerts, quarantine, deliveries, audit };
}

export default function Overview() {
  const sites = useLoaded(loadSites, []);
  const { data } = sites;
  if (sites.problem) return html`<div class="page"><${PageHead} title=${t("overview")} /><${ProblemNotice} problem=${sites.problem} onRetry=${sites.reload} /></div>`;
  if (data && data.sites.length === 0 && data.devices.length === 0) return html`<${Nothing} />`;
  return html`<div class="page">
    <${PageHead} title=${t("overview")} lead=${data ? t("overview.lead", { from: format.day(data.from), to: format.instant(data.end) }) : "\u00a0"} />
    ${data ? html`<${Totals} data=${data} />` : html`<div key="loading" class="card"><${Skeleton} rows=${1} height=${88} /></div>`}
    ${data?.sites.length === 0 && html`<div class="notice"><strong>${t("overview.no.sites")}</strong><p>${t("overview.no.sites.detail")}</p></div>`}
    <section key=${data ? "loaded" : "loading"} class="grid-cards" aria-label=${t("sites")}>
      ${data ? data.sites.map((/** @type {any} */ site) => html`<${SiteCard} key=${site.site_id} site=${site}
          kpis=${data.kpis.find((/** @type {any} */ one) => one.site_id === site.site_id)} />`)
        : [1, 2].map((index) => html`<div key=${index} class="card"><${Skeleton} rows=${4} height=${38} /></div>`)}
    </section>
    ${data && html`<${Issues} devices=${data.devices} areMore=${data.areMore} />`}
  </div>`;
}

const Nothing = () => html`<div class="page"><${PageHead} title=${t("overview")} />
  <div class="card"><${Empty} icon="import" title=${t("overview.empty")}><p>${t("overview.empty.detail")}</p>
    ${can("mass:write") ? html`<a class="button primary" href=${to("/import")}>${t("overview.empty.import")}</a>` : html`<p>${t("overview.empty.ask")}</p>`}
  <//></div></div>`;

/** @param {{ data: any }} properties */
function Totals({ data }) {
  /** @param {string} name */
  const sum = (name) => {
    const values = (data?.kpis ?? []).map((/** @type {any} */ site) => site.kpis[name]?.value).filter((/** @type {unknown} */ value) => typeof value === "number");
    return values.length > 0 ? values.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b, 0) : null;
  };
  const [facility, it] = [sum("facility_energy_kwh"), sum("it_energy_kwh")];
  const [energy, unit] = format.energy(facility);
  const currency = data?.kpis.find((/** @type {any} */ site) => site.kpis.cost?.value !== null)?.kpis.cost?.unit;
  return html`<dl class="figures" aria-busy=${String(!data)}>
    <${Figure} term=${t("kpi.pue")} value=${data ? format.number(pueOf(data.kpis), 2) : null} note=${t("overview.pue.note")} />
    <${Figure} term=${t("kpi.energy")} value=${data ? energy : null} unit=${unit} note=${it === null ? t("overview.energy.none") : t("overview.energy.note", { it: format.energy(it).join(" ") })} />
    <${Figure} term=${t("kpi.cost")} value=${data ? format.money(sum("cost"), currency) : null} note=${t("overview.cost.note")} />
    <${Figure} term=${t("devices")} value=${data ? `${format.count(data.devices.length)}${data.areMore ? "+" : ""}` : null}
      note=${data ? t("overview.devices.note", { silent: data.devices.filter(isSilent).length }) : " "} />
  </dl>`;
}

/** PUE over the sites that have one: of summed energies, as for each of them. @param {any[]} kpis */
function pueOf(kpis) {
  const measured = kpis.filter((site) => site.kpis.pue?.value !== null && site.kpis.it_energy_kwh?.value);
  const it = measured.reduce((sum, site) => sum + site.kpis.it_energy_kwh.value, 0);
  return it > 0 ? measured.reduce((sum, site) => sum + site.kpis.pue.value * site.kpis.it_energy_kwh.value, 0) / it : null;
}

/** @param {any} source */
const isSilent = (source) => source.state?.freshness === "silent";

/** @param {{ site: any, kpis: any }} properties */
function SiteCard({ site, kpis }) {
  const [energy, unit] = format.energy(kpis?.kpis.facility_energy_kwh?.value);
  const cost = kpis?.kpis.cost;
  const completeness = site.state?.completeness?.last_30_days ?? kpis?.kpis.completeness?.value;
  return html`<a class="card site-card" href=${to(`/sites/${encodeURIComponent(site.site_id)}`)}>
    <div class="top"><div><h2>${site.site_id}</h2><span class="small muted">${site.devices > 0 ? t("site.devices", { count: site.devices }) : t("site.own")}${site.state ? ` · ${format.ago(site.state.last_seen)}` : ""}</span></div>
      ${site.state && html`<${Badge} name=${site.state.freshness} />`}</div>
    <div class="pair">
      <div><span class="label">${t("kpi.pue.last")}</span><strong>${format.number(latestPue(site.state), 2)}</strong></div>
      <div><span class="label">${t("kpi.pue.30")}</span><strong>${format.number(kpis?.kpis.pue?.value, 2)}</strong></div>
      <div><span class="label">${t("kpi.energy.30")}</span><strong>${energy} <small>${unit}</small></strong></div>
      <div><span class="label">${t("kpi.cost.30")}</span><strong>${format.money(cost?.value, cost?.unit)}</strong></div>
    </div>
    <span class="small muted">${typeof completeness === "number" ? t("completeness.30", { share: format.percent(completeness) }) : t("completeness.none")}</span>
  </a>`;
}

/** @param {{ devices: any[], areMore: boolean }} properties */
function Issues({ devices, areMore }) {
  const { data, problem, reload } = useLoaded(loadIssues, []);
  const silent = devices.filter(isSilent).length;
  if (problem) return html`<${ProblemNotice} problem=${problem} onRetry=${reload} />`;
  if (!data) return html`<${Card} title=${t("issues")} bare><${Skeleton} rows=${3} height=${28} /><//>`;
  const kept = data.quarantine?.items.length ?? 0;
  const dead = data.deliveries?.queue.dead ?? 0;
  return html`<${Card} title=${t("issues")} bare><ul class="issues">
    ${data.alerts && html`<${Issue} href=${to("/alerts")} words=${t("issues.alerts")} count=${data.alerts.items.length} more=${Boolean(data.alerts.next_cursor)} look=${data.alerts.items.some((/** @type {any} */ one) => one.severity === "critical") ? "bad" : "warn"} />`}
    <${Issue} href=${to("/devices", { freshness: "silent" })} words=${t("issues.silent")} count=${silent} more=${areMore && silent > 0} look="bad" />
    ${data.quarantine && html`<${Issue} href=${to("/quarantine")} words=${t("issues.quarantine")} count=${kept} more=${Boolean(data.quarantine.next_cursor)} look="warn" />`}
    ${data.deliveries ? html`<${Issue} href=${to("/admin/deliveries", { state: "dead" })} words=${t("issues.dead")} count=${dead} look="bad" />`
      : can("deliveries:manage") && html`<li><a href=${to("/admin/deliveries", { state: "dead" })}><span class="badge"><${Icon} name="minus" />${t("show")}</span><span>${t("issues.dead")}</span></a></li>`}
    ${data.audit && html`<li><a href=${to("/audit")}><span class="badge ${data.audit.problem ? "bad" : "good"}"><${Icon} name=${data.audit.problem ? "cross" : "check"} />
      ${data.audit.problem ? t("issues.audit.broken") : t("issues.audit")}</span>
      <span>${data.audit.problem ? data.audit.problem.document.detail : t("issues.audit.size", { count: format.count(data.audit.size) })}</span></a></li>`}
  </ul><//>`;
}

/** @param {{ href: string, words: string, count: number, more?: boolean, look: string }} properties */
const Issue = ({ href, words, count, more, look }) => html`<li><a href=${href}>
  <span class="badge ${count === 0 ? "good" : look}"><${Icon} name=${count === 0 ? "check" : "alert"} />${t(count === 0 ? "issues.none" : "issues.some")}</span>
  <span>${words}</span><span class="n">${format.count(count)}${more ? "+" : ""}</span></a></li>`;
