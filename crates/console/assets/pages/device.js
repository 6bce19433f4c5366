// A device: all its metrics over time, and the doubts about them.
import { download, get, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction, useLoaded } from "../core/loading.js";
import { ask, to } from "../core/router.js";
import { html, useMemo } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Chart } from "../parts/chart.js";
import { Badge, Card, Empty, Figure, PageHead, Skeleton } from "../parts/controls.js";
import { Icon } from "../parts/icons.js";
import { ProblemNotice } from "../parts/problem.js";
import { DAY, Spans, iso, seconds, stepFor, summed } from "../parts/series.js";
import { Table } from "../parts/table.js";

/** The longest period of doubts, as the API has it. */
const LONGEST_DOUBTS = 31 * DAY;

/** @param {{ id: string, query: Record<string, string> }} properties */
export function Device({ id, query }) {
  const { data, problem, reload } = useLoaded((signal) => get(`/v1/devices/${part(id)}`, { signal }), [id]);
  if (problem) return html`<div class="page"><${PageHead} title=${id} /><${ProblemNotice} problem=${problem} onRetry=${reload} /></div>`;
  if (!data) return html`<div class="page"><${PageHead} title=${id} /><div class="card"><${Skeleton} rows=${6} height=${60} /></div></div>`;
  return html`<${Known} id=${id} sources=${data.items} query=${query} />`;
}

/** @param {{ id: string, sources: any[], query: Record<string, string> }} properties */
function Known({ id, sources, query }) {
  const values = sources.flatMap((source) => source.state?.values ?? []);
  const metrics = [...new Set(values.map((value) => value.metric))].sort().slice(0, 50);
  const last = Math.max(...sources.map((source) => seconds(source.state?.last_seen ?? "")).filter(Number.isFinite), 0) || Date.now() / 1000;
  const end = query.to ? seconds(query.to) : Math.ceil(last / 3600) * 3600;
  const from = query.from ? seconds(query.from) : end - 7 * DAY;
  const period = { device_id: id, from: iso(from), to: iso(end) };
  const shared = { ...period, metric: metrics.join(","), step: stepFor(from, end) };
  const series = useLoaded((signal) => (metrics.length > 0 ? get("/v1/analytics/series", { query: shared, signal }) : Promise.resolve({ series: [] })), [id, from, end]);
  const doubts = useLoaded((signal) => get("/v1/analytics/quality", { query: { ...period, from: iso(Math.max(from, end - LONGEST_DOUBTS)) }, signal }), [id, from, end]);
  const saving = useAction(() => download("/v1/analytics/series", `${id}.csv`, { query: shared, headers: { Accept: "text/csv" } }));
  const [first] = sources;
  return html`<div class="page">
    <${PageHead} title=${id} lead=${[first?.type, first?.location, ...sources.map((source) => source.site_id)].filter(Boolean).join(" · ")}>
      ${first?.state && html`<${Badge} name=${first.state.freshness} />`}
      <a class="button" href=${to("/requests", { device_id: id })}>${t("requests")}</a>
      <button type="button" class="button" disabled=${saving.isBusy} onClick=${() => void saving.run()}><${Icon} name="download" />CSV</button>
    <//>
    <${ProblemNotice} problem=${saving.problem} />
    <dl class="figures">
      <${Figure} term=${t("last.seen")} value=${format.ago(first?.state?.last_seen)} note=${format.instant(first?.state?.last_seen)} />
      <${Figure} term=${t("first.seen")} value=${format.day(first?.state?.first_seen)} note=" " />
      <${Figure} term=${t("interval")} value=${format.duration(first?.state?.interval_seconds)} note=${t("interval.note")} />
      <${Figure} term=${t("complete.30")} value=${format.percent(first?.state?.completeness?.last_30_days)} note=${t("complete.24", { share: format.percent(first?.state?.completeness?.last_24_hours) })} />
    </dl>
    <${Spans} days=${(end - from) / DAY} set=${(/** @type {number} */ days) => ask({ from: iso(end - days * DAY), to: iso(end) })} />
    ${series.problem && html`<${ProblemNotice} problem=${series.problem} onRetry=${series.reload} />`}
    <div class="grid-2">${metrics.map((metric) => html`<${Metric} key=${metric} metric=${metric} loaded=${series} from=${from} until=${end}
      value=${values.find((value) => value.metric === metric)} />`)}</div>
    ${metrics.length === 0 && html`<div class="card"><${Empty} icon="devices" title=${t("latest.empty")}><p>${t("latest.empty.detail")}</p><//></div>`}
    <${Doubts} loaded=${doubts} />
  </div>`;
}

/** @param {{ metric: string, loaded: import("../core/loading.js").Loaded<any>, from: number, until: number, value: any }} properties */
function Metric({ metric, loaded, from, until, value }) {
  const lines = useMemo(() => {
    const found = (loaded.data?.series ?? []).filter((/** @type {any} */ one) => one.metric === metric && one.buckets.length > 0);
    return found.map((/** @type {any} */ one, /** @type {number} */ index) => ({
      label: one.site_id ?? named("metric", metric), unit: format.unitOf(one.unit), color: `c${(index % 6) + 1}`, ...summed([one]),
    }));
  }, [loaded.data, metric]);
  const unit = format.unitOf(value?.unit);
  return html`<${Card} title=${named("metric", metric)} note=${value ? `${format.number(value.value)} ${unit} · ${format.instant(value.at)}` : ""}>
    ${!loaded.data ? html`<div class="skeleton" style=${{ height: "189px" }}></div>`
      : lines.length === 0 ? html`<p class="muted">${t("chart.empty")}</p>`
      : html`<${Chart} lines=${lines} unit=${unit} label=${named("metric", metric)} height=${170} from=${from} to=${until} sync="device"
          onZoom=${(/** @type {number} */ a, /** @type {number} */ b) => ask({ from: iso(Math.floor(a)), to: iso(Math.ceil(b)) })} />`}
  <//>`;
}

/** @param {{ loaded: import("../core/loading.js").Loaded<any> }} properties */
function Doubts({ loaded }) {
  const items = loaded.data?.items ?? [];
  return html`<${Card} title=${t("doubts")} note=${t("doubts.note")} bare>
    ${loaded.problem && html`<${ProblemNotice} problem=${loaded.problem} onRetry=${loaded.reload} />`}
    ${items.length === 0 ? html`<p class="card-body muted">${t(loaded.data ? "doubts.none" : "loading")}</p>`
      : html`<${Table} caption=${t("doubts")} rows=${items.slice(0, 100)} keyOf=${(/** @type {any} */ one) => `${one.day} ${one.kind} ${one.metric}`} columns=${[
        { title: t("day"), look: "nowrap", cell: (/** @type {any} */ one) => format.day(one.day, "UTC") },
        { title: t("kind"), cell: (/** @type {any} */ one) => named("doubt", one.kind) },
        { title: t("metric"), cell: (/** @type {any} */ one) => named("metric", one.metric) },
        { title: t("count"), look: "num", label: t("count"), cell: (/** @type {any} */ one) => format.count(one.count) },
        { title: t("detail"), look: "wide", cell: (/** @type {any} */ one) => one.detail },
      ]} />`}
  <//>`;
}
