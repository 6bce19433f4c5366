// Devices: all of them as a table, and one with all its metrics.
import { get, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useLoaded } from "../core/loading.js";
import { ask, to } from "../core/router.js";
import { html, useMemo, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Badge, Card, Empty, Field, PageHead, Segments } from "../parts/controls.js";
import { Spark } from "../parts/spark.js";
import { PagedTable, usePages } from "../parts/table.js";
import { seconds } from "../parts/series.js";
import { Device } from "./device.js";

const DAY = 86_400;

/** @param {{ parts: string[], query: Record<string, string> }} properties */
export default function Devices({ parts, query }) {
  return parts[0] ? html`<${Device} id=${parts[0]} query=${query} />` : html`<${List} query=${query} />`;
}

/** What is drawn of a device: the first of its metrics that people look for. */
const FIRST = ["facility_power_kw", "it_power_kw", "power_kw", "hvac_power_kw", "cooling_power_kw", "inlet_temperature_celsius", "temperature_celsius"];

/** @param {any} device */
function mainValue(device) {
  const values = device.state?.values ?? [];
  const rank = (/** @type {any} */ value) => (FIRST.indexOf(value.metric) + FIRST.length + 1) % (FIRST.length + 1);
  return [...values].sort((a, b) => rank(a) - rank(b))[0];
}

/** @param {{ query: Record<string, string> }} properties */
function List({ query }) {
  const list = usePages("/v1/devices", { site_id: query.site_id, limit: 100, include: "completeness" });
  const [site, setSite] = useState(query.site_id ?? "");
  const sparks = useSparks(list.rows);
  const freshness = query.freshness ?? "";
  const rows = freshness ? list.rows.filter((device) => device.state?.freshness === freshness) : list.rows;
  return html`<div class="page">
    <${PageHead} title=${t("devices")} lead=${t("devices.lead")} />
    <form class="filters" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); ask({ site_id: site }); }}>
      <${Field} label=${t("site")} value=${site} set=${setSite} placeholder=${t("all")} />
      <div class="buttons"><button class="button">${t("filter")}</button></div>
    </form>
    <${Segments} label=${t("state")} value=${freshness} set=${(/** @type {string} */ name) => ask({ freshness: name })}
      options=${[["", t("all")], ...["fresh", "late", "silent"].map((name) => /** @type {[string, string]} */ ([name, named("state", name)]))]} />
    <${Card} bare><${PagedTable} list=${{ ...list, rows }} caption=${t("devices")} keyOf=${(/** @type {any} */ row) => `${row.device_id} ${row.site_id ?? ""}`}
      columns=${columns(sparks)} empty=${html`<${Empty} icon="devices" title=${t(list.rows.length > 0 ? "devices.none.such" : "devices.none")}><p>${t("devices.none.detail")}</p><//>`} /><//>
  </div>`;
}

/** @param {any} sparks @returns {import("../parts/table.js").Column[]} */
const columns = (sparks) => [
  { title: t("device"), cell: (row) => html`<a href=${to(`/devices/${part(row.device_id)}`)}>${row.device_id}</a><span class="sub">${[row.type, row.location].filter(Boolean).join(" · ")}</span>` },
  { title: t("state"), cell: (row) => row.state && html`<${Badge} name=${row.state.freshness} />` },
  { title: t("site"), look: "name", cell: (row) => row.site_id ?? html`<span class="muted">–</span>` },
  { title: t("last.seen"), cell: (row) => html`<span title=${format.exactInstant(row.state?.last_seen)}>${format.ago(row.state?.last_seen)}</span>` },
  { title: t("interval"), look: "num", label: t("interval"), cell: (row) => format.duration(row.state?.interval_seconds) },
  { title: t("complete.30"), look: "num", label: t("complete.30"), cell: (row) => format.percent(row.state?.completeness?.last_30_days) },
  { title: t("value"), look: "num", cell: (row) => valueCell(mainValue(row)) },
  { title: t("day.before"), cell: (row) => sparkCell(row, sparks) },
];

/** @param {any} value */
const valueCell = (value) => value && html`${format.number(value.value)} ${format.unitOf(value.unit)}<span class="sub">${named("metric", value.metric)}</span>`;

/** @param {any} row @param {any} sparks */
function sparkCell(row, sparks) {
  const value = mainValue(row);
  const found = value && sparks?.series.find((/** @type {any} */ one) => one.device_id === row.device_id && one.metric === value.metric);
  return found ? html`<${Spark} buckets=${found.buckets} from=${sparks.from} to=${sparks.to} label=${t("spark", { metric: named("metric", value.metric) })} />` : html`<span class="spark"></span>`;
}

/** One call for all sparklines. @param {any[]} rows */
function useSparks(rows) {
  const metrics = useMemo(() => [...new Set(rows.map((row) => mainValue(row)?.metric).filter(Boolean))].slice(0, 50).sort(), [rows]);
  const seen = rows.map((row) => seconds(row.state?.last_seen ?? "")).filter(Number.isFinite);
  const end = seen.length > 0 ? Math.ceil(Math.max(...seen) / 3600) * 3600 : 0;
  const loaded = useLoaded(async (signal) => {
    if (metrics.length === 0) return null;
    const from = end - DAY;
    const query = { metric: metrics.join(","), from: new Date(from * 1000).toISOString(), to: new Date(end * 1000).toISOString(), step: "hour" };
    return { ...(await get("/v1/analytics/series", { query, signal })), from, to: end };
  }, [metrics.join(","), end]);
  return loaded.data;
}
