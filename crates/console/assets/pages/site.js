// A site: its powers and PUE over time, the weather beneath, and what was recommended.
import { download, get, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction, useLoaded } from "../core/loading.js";
import { ask, to } from "../core/router.js";
import { can } from "../core/session.js";
import { html, useMemo } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Brush } from "../parts/brush.js";
import { Chart, pan } from "../parts/chart.js";
import { Badge, Card, Empty, Figure, PageHead, Segments, Skeleton } from "../parts/controls.js";
import { Icon } from "../parts/icons.js";
import { ProblemNotice, Said } from "../parts/problem.js";
import { DAY, Spans, iso, ofSite, seconds, stepFor, summed } from "../parts/series.js";
import { stateOf } from "../parts/sources.js";
import { Table } from "../parts/table.js";

/** @typedef {import("../parts/series.js").Line} Line */

const POWERS = ["facility_power_kw", "it_power_kw", "hvac_power_kw"];
const AIR = ["temperature_celsius", "wet_bulb_celsius"];
/** @type {Record<string, string>} */
const COLORS = { facility_power_kw: "c1", it_power_kw: "c2", hvac_power_kw: "c3" };
const STEPS = ["raw", "5m", "hour", "day", "month"];
/** The longest period of each step, in days, as the API has it. @type {Record<string, number>} */
const LONGEST = { raw: 31, "5m": 92, hour: 1095, day: 7300, month: 7300 };
/** The seconds of each step; of raw values those of a usual interval. @type {Record<string, number>} */
const SECONDS = { raw: 60, "5m": 300, hour: 3600, day: DAY, month: 30 * DAY };
/** The most steps that are loaded so that the charts can be moved beyond the shown part. */
const MOST_STEPS = 3000;
const KPIS = ["pue", "facility_energy_kwh", "it_energy_kwh", "hvac_energy_kwh", "cost", "peak_kw", "load_factor", "co2e_kg", "wue", "cue", "completeness"];

/** @param {{ parts: string[], query: Record<string, string> }} properties */
export default function Site({ parts, query }) {
  const id = parts[0] ?? "";
  const whole = useLoaded((signal) => loadSite(id, signal), [id]);
  if (whole.problem) return html`<div class="page"><${PageHead} title=${id} /><${ProblemNotice} problem=${whole.problem} onRetry=${whole.reload} /></div>`;
  if (!whole.data) return html`<div class="page" aria-busy="true"><${PageHead} title=${id} /><div class="card"><${Skeleton} rows=${6} height=${60} /></div></div>`;
  return html`<${Known} id=${id} site=${whole.data} query=${query} />`;
}

/**
 * Loads a site with the devices that report for it.
 * @param {string} id
 * @param {AbortSignal} signal
 */
async function loadSite(id, signal) {
  const [found, devices] = await Promise.all([findSite(id, signal), get("/v1/devices", { query: { site_id: id, limit: 500 }, signal })]);
  const site = found ?? { site_id: id, devices: devices.items.length, state: null };
  return { ...site, own: site.state, sources: devices.items, state: stateOf(site, devices.items) };
}

/**
 * Looks a site up in the list, which has no filter.
 * @param {string} id
 * @param {AbortSignal} signal
 */
async function findSite(id, signal) {
  let cursor = null;
  do {
    const page = await get("/v1/sites", { query: { limit: 500, cursor }, signal });
    const found = page.items.find((/** @type {any} */ site) => site.site_id === id);
    if (found) return found;
    cursor = page.next_cursor;
  } while (cursor);
  return null;
}

/** @param {{ id: string, site: any, query: Record<string, string> }} properties */
function Known({ id, site, query }) {
  const period = usePeriod(site, query);
  const { from, to: until, step } = period;
  const shared = { site_id: id, from: iso(from), to: iso(until), step, zone: format.ZONE };
  const loaded = withMargins(period);
  const series = useLoaded((signal) => get("/v1/analytics/series", { query: { ...shared, ...loaded, metric: [...POWERS, ...AIR].join(",") }, signal }), [id, from, until, step]);
  const kpis = useLoaded((signal) => get("/v1/analytics/kpis", { query: { site_id: id, from: shared.from, to: shared.to, zone: format.ZONE }, signal }), [id, from, until]);
  const advice = useLoaded((signal) => (can("mass:read") ? get("/v1/recommendations", { query: { site_id: id, from: shared.from, to: shared.to, limit: 100 }, signal }) : Promise.resolve({ items: [] })), [id, from, until]);
  const saving = useAction(() => download("/v1/analytics/series", `${id}.csv`, { query: { ...shared, metric: POWERS.join(",") }, headers: { Accept: "text/csv" } }));
  return html`<div class="page">
    <${PageHead} title=${id} lead=${html`${site.devices > 0 ? t("site.devices", { count: site.devices }) : t("site.own")}${site.state ? html` · ${t("last.seen")} ${format.ago(site.state.last_seen)} ` : ""}`}>
      ${site.state && html`<${Badge} name=${site.state.freshness} />`}
      <a class="button" href=${to("/devices", { site_id: id })}>${t("devices")}</a>
      <button type="button" class="button" disabled=${saving.isBusy} onClick=${() => void saving.run()}><${Icon} name="download" />CSV</button>
    <//>
    <${ProblemNotice} problem=${saving.problem} />
    <${Period} period=${period} />
    ${[kpis, series].some(({ data, problem }) => !data && !problem) ? html`<div key="loading" class="card"><${Skeleton} rows=${8} height=${60} /></div>` : html`
      <${Kpis} loaded=${kpis} />
      <${Powers} loaded=${series} period=${period} marks=${marksOf(advice.data)}><${Whole} id=${id} period=${period} /><//>
      <${Weather} loaded=${series} period=${period} />
      <div class="grid-2"><${Values} site=${site} />${can("mass:read") && html`<${Advice} loaded=${advice} />`}</div>`}
  </div>`;
}

/** @param {any} advice */
const marksOf = (advice) => (advice?.items ?? []).map((/** @type {any} */ one) => ({ at: seconds(one.created_at), words: one.model.name }));

/**
 * @param {any} site
 * @param {Record<string, string>} query
 */
function usePeriod(site, query) {
  return useMemo(() => {
    const now = Math.ceil(Date.now() / 3_600_000) * 3600;
    const last = site.state ? Math.ceil(seconds(site.state.last_seen) / 3600) * 3600 : now;
    const end = now - last < 2 * DAY ? now : last;
    const begin = site.state ? Math.floor(seconds(site.state.first_seen) / 3600) * 3600 : end - 7 * DAY;
    const to = query.to ? seconds(query.to) : end;
    const from = query.from ? seconds(query.from) : Math.max(to - 7 * DAY, Math.min(begin, to - DAY));
    const isValid = Number.isFinite(from) && Number.isFinite(to) && from < to;
    const chosen = isValid ? { from, to } : { from: end - 7 * DAY, to: end };
    const fits = query.step && STEPS.includes(query.step) && chosen.to - chosen.from <= (LONGEST[query.step] ?? 0) * DAY;
    return { ...chosen, begin, end, step: fits ? /** @type {string} */ (query.step) : stepFor(chosen.from, chosen.to) };
  }, [site, query.from, query.to, query.step]);
}

/**
 * Returns the time that is loaded: the shown one with room to be moved on both sides.
 * @param {ReturnType<typeof usePeriod>} period
 */
function withMargins({ from, to: until, step, begin, end }) {
  const width = until - from;
  const most = Math.min(MOST_STEPS * (SECONDS[step] ?? DAY), (LONGEST[step] ?? 0) * DAY);
  const margin = Math.max(0, Math.min(width, Math.floor((most - width) / 7200) * 3600));
  return { from: iso(Math.min(from, Math.max(begin, from - margin))), to: iso(Math.max(until, Math.min(end, until + margin))) };
}

/** @param {number} from @param {number} until */
const show = (from, until) => ask({ from: iso(Math.floor(from)), to: iso(Math.ceil(until)), step: null });

/** Moves the charts with the shown part while it is dragged. @param {number} from @param {number} until */
const drag = (from, until) => pan("site", from, until);

/** @param {{ period: ReturnType<typeof usePeriod> }} properties */
function Period({ period }) {
  const { from, to: until, step, begin, end } = period;
  const days = (until - from) / DAY;
  const width = until - from;
  const steps = STEPS.filter((name) => days <= (LONGEST[name] ?? 0) && (name !== "month" || days > 60) && (name !== "day" || days > 2));
  return html`<div class="buttons">
    <${Spans} days=${until === end ? days : null} set=${(/** @type {number} */ length) => show(end - length * DAY, end)} />
    <button type="button" class="button small" onClick=${() => show(begin, end)}>${t("span.all")}</button>
    <span class="buttons"><button type="button" class="button small" aria-label=${t("earlier")} onClick=${() => show(from - width / 2, until - width / 2)}>←</button>
    <button type="button" class="button small" aria-label=${t("later")} onClick=${() => show(from + width / 2, until + width / 2)}>→</button>
    <button type="button" class="button small" onClick=${() => show(from - width / 2, until + width / 2)}>${t("zoom.out")}</button></span>
    <${Segments} label=${t("step")} value=${step} options=${steps.map((name) => [name, named("step", name)])} set=${(/** @type {string} */ name) => ask({ from: iso(from), to: iso(until), step: name })} />
    <span class="small muted">${format.instant(from * 1000)} – ${format.instant(until * 1000)}</span>
  </div>`;
}

/** @param {{ loaded: import("../core/loading.js").Loaded<any> }} properties */
function Kpis({ loaded }) {
  if (loaded.problem) return html`<${ProblemNotice} problem=${loaded.problem} onRetry=${loaded.reload} />`;
  const kpis = loaded.data?.items[0]?.kpis ?? {};
  return html`<dl class="figures" aria-busy=${String(loaded.isLoading)}>${KPIS.filter((name) => !loaded.data || name === "pue" || kpis[name]?.value !== null && kpis[name] !== undefined).map((name) => {
    const kpi = kpis[name];
    const [value, unit] = written(name, kpi);
    return html`<${Figure} key=${name} term=${named("kpi", name)} value=${loaded.data ? value : null} unit=${unit}
      note=${kpi?.reason ? html`<${Said} of=${{ code: kpi.reason_code, detail: kpi.reason }} group="absence" />` : !kpi ? " " : name === "completeness" ? " " : t("coverage", { share: format.percent(kpi.coverage) })} />`;
  })}</dl>`;
}

/** @param {string} name @param {any} kpi @returns {[string, string]} */
function written(name, kpi) {
  const value = kpi?.value;
  if (name.endsWith("_energy_kwh")) return format.energy(value);
  if (name === "cost") return [format.money(value, kpi?.unit), ""];
  if (name === "load_factor" || name === "completeness") return [format.percent(value), ""];
  if (name === "pue") return [format.number(value, 2), ""];
  return [format.number(value), format.unitOf(kpi?.unit)];
}

/** The days of the site from its first value on, in which the shown period is moved. @param {{ id: string, period: ReturnType<typeof usePeriod> }} properties */
function Whole({ id, period: { from, to: until, begin, end } }) {
  const query = { site_id: id, metric: "facility_power_kw,it_power_kw", from: iso(begin), to: iso(end), step: "day", zone: format.ZONE };
  const days = useLoaded((signal) => get("/v1/analytics/series", { query, signal }), [id, begin, end]);
  const { values, ends } = useMemo(() => {
    const all = days.data?.series ?? [];
    const facility = ofSite(all, "facility_power_kw");
    return summed(facility.length > 0 ? facility : ofSite(all, "it_power_kw"));
  }, [days.data]);
  return values.size < 3 ? html`<div class="brush"></div>` : html`<${Brush} values=${values} ends=${ends} begin=${begin} end=${end} from=${from} until=${until} onDrag=${drag} onMove=${show} />`;
}

/** @param {{ loaded: import("../core/loading.js").Loaded<any>, period: ReturnType<typeof usePeriod>, marks: { at: number, words: string }[], children: any }} properties */
function Powers({ loaded, period, marks, children }) {
  const lines = useMemo(() => powerLines(loaded.data?.series ?? []), [loaded.data]);
  const pue = useMemo(() => pueLine(lines), [lines]);
  const { from, to: until } = period;
  const shared = { from, to: until, onZoom: show, sync: "site", areInstants: period.step === "raw" };
  return html`<${Card} title=${t("power")} note=${t("chart.hint")}>
    ${loaded.problem && html`<${ProblemNotice} problem=${loaded.problem} onRetry=${loaded.reload} />`}
    ${!loaded.data && !loaded.problem ? html`<div class="skeleton" style=${{ height: "430px" }}></div>`
      : lines.length === 0 ? html`<${Empty} icon="overview" title=${t("chart.empty")}><p>${t("chart.empty.detail")}</p><//>`
      : html`<${Chart} ...${shared} lines=${lines} unit="kW" zero fill label=${t("power")} marks=${marks} height=${280} />
        ${marks.length > 0 && html`<p class="small muted">${t("chart.marks", { count: marks.length })}</p>`}
        ${pue && html`<${Chart} ...${shared} lines=${[pue]} label=${t("kpi.pue")} height=${150} />`}`}
    ${children}
  <//>`;
}

/** @param {import("../parts/series.js").Series[]} series @returns {Line[]} */
function powerLines(series) {
  return POWERS.map((metric) => ({ metric, of: ofSite(series, metric) })).filter(({ of }) => of.length > 0).map(({ metric, of }) => ({
    label: named("metric", metric), unit: "kW", color: COLORS[metric] ?? "c6", ...summed(of),
    ...(metric === "it_power_kw" ? { dash: [6, 3] } : metric === "hvac_power_kw" ? { dash: [2, 3] } : {}),
  }));
}

/** @param {Line[]} lines @returns {Line | null} */
function pueLine(lines) {
  const facility = lines.find(({ color }) => color === "c1");
  const it = lines.find(({ color }) => color === "c2");
  if (!facility || !it) return null;
  const values = new Map();
  for (const [at, value] of facility.values) {
    const load = it.values.get(at);
    values.set(at, value !== null && load ? value / load : null);
  }
  return { label: t("kpi.pue"), unit: "", color: "c4", values, ends: facility.ends };
}

/** @param {{ loaded: import("../core/loading.js").Loaded<any>, period: ReturnType<typeof usePeriod> }} properties */
function Weather({ loaded, period }) {
  const lines = useMemo(() => weatherLines(loaded.data?.series ?? []), [loaded.data]);
  if (lines.length === 0) return null;
  return html`<${Card} title=${t("air")}><${Chart} lines=${lines} unit="°C" label=${t("air")} height=${170} from=${period.from} to=${period.to} onZoom=${show} sync="site" areInstants=${period.step === "raw"} /><//>`;
}

/** The air of at most five sources: more lines than that say nothing. @param {import("../parts/series.js").Series[]} series @returns {Line[]} */
function weatherLines(series) {
  const filled = series.filter(({ metric, buckets }) => AIR.includes(metric) && buckets.length > 0).slice(0, 5);
  return filled.map((one, index) => ({
    label: `${one.device_id ?? named("metric", one.metric)}${one.metric === "wet_bulb_celsius" ? ` · ${named("metric", one.metric)}` : ""}`,
    unit: "°C", color: `c${(index % 6) + 1}`, ...summed([one]), ...(index % 2 === 1 ? { dash: [5, 3] } : {}),
  }));
}

/** The latest values of the site's own reports, or of its devices. @param {{ site: any }} properties */
function Values({ site }) {
  const own = (site.own?.values ?? []).map((/** @type {any} */ value) => ({ ...value, of: null }));
  const others = site.sources.flatMap((/** @type {any} */ device) => (device.state?.values ?? []).map((/** @type {any} */ value) => ({ ...value, of: device.device_id })));
  const rows = own.length > 0 ? own : others;
  return html`<${Card} title=${t("latest")} bare>
    ${rows.length === 0 ? html`<${Empty} icon="devices" title=${t("latest.empty")}><p>${t("latest.empty.detail")}</p><//>`
      : html`<${Table} caption=${t("latest")} rows=${rows.slice(0, 40)} keyOf=${(/** @type {any} */ row) => `${row.of} ${row.metric}`} columns=${VALUES()} />`}
  <//>`;
}

/** @returns {import("../parts/table.js").Column[]} */
const VALUES = () => [
  { title: t("metric"), cell: (row) => html`${named("metric", row.metric)}${row.of && html`<span class="sub">${row.of}</span>`}` },
  { title: t("value"), look: "num", cell: (row) => `${format.number(row.value)} ${format.unitOf(row.unit)}` },
  { title: t("at"), look: "nowrap", cell: (row) => format.instant(row.at) },
];

/** @param {{ loaded: import("../core/loading.js").Loaded<any> }} properties */
function Advice({ loaded }) {
  const items = loaded.data?.items ?? [];
  return html`<${Card} title=${t("recommendations")} note=${t("recommendations.note")} bare>
    ${loaded.problem && html`<${ProblemNotice} problem=${loaded.problem} onRetry=${loaded.reload} />`}
    ${items.length === 0 ? html`<${Empty} icon="pilot" title=${t("recommendations.empty")}><p>${t("recommendations.empty.detail")}</p><//>`
      : html`<ul class="issues">${items.slice(0, 8).map((/** @type {any} */ one) => html`<li key=${one.id}><a href=${to(`/requests/${part(one.request_id)}`)}>
        <span>${one.explanation.narrative}<span class="small muted"> · ${format.instant(one.created_at)}</span></span>
        <span class="n nowrap">${format.number(one.estimated_impact_24h.energy_kwh)} kWh</span></a></li>`)}</ul>`}
  <//>`;
}
