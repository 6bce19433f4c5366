// The pilot: its projects, the plan of one that is to be, and one project with its schedule and reports.
import { get, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction, useLoaded } from "../core/loading.js";
import { go, to } from "../core/router.js";
import { can } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Card, Empty, Field, PageHead, Skeleton } from "../parts/controls.js";
import { ProblemNotice } from "../parts/problem.js";
import { PagedTable, Table, usePages } from "../parts/table.js";
import { Project } from "./project.js";
import { Report } from "./report.js";

const DAY = 86_400_000;
const HOUR = 3_600_000;

/** @param {{ parts: string[], query: Record<string, string> }} properties */
export default function Pilot({ parts, query }) {
  if (parts[0] === "reports" && parts[1]) return html`<${Report} id=${parts[1]} />`;
  if (parts[0] === "plan") return html`<${Plan} query=${query} />`;
  if (parts[0] === "new") return html`<${NewProject} query=${query} />`;
  return parts[0] ? html`<${Project} id=${parts[0]} />` : html`<${List} />`;
}

function List() {
  const list = usePages("/v1/savings/projects", { limit: 50 });
  return html`<div class="page">
    <${PageHead} title=${t("pilot")} lead=${t("pilot.lead")}>${can("savings:manage") && html`
      <a class="button" href=${to("/pilot/plan")}>${t("pilot.plan")}</a><a class="button primary" href=${to("/pilot/new")}>${t("pilot.new")}</a>`}<//>
    <${Card} bare><${PagedTable} list=${list} caption=${t("pilot")} keyOf=${(/** @type {any} */ row) => row.id}
      empty=${html`<${Empty} icon="pilot" title=${t("pilot.none")}><p>${t("pilot.none.detail")}</p><//>`}
      columns=${[
        { title: t("name"), cell: (/** @type {any} */ row) => html`<a href=${to(`/pilot/${part(row.id)}`)}>${row.name}</a>` },
        { title: t("site"), cell: (/** @type {any} */ row) => html`<a href=${to(`/sites/${part(row.site_id)}`)}>${row.site_id}</a>` },
        { title: t("version"), look: "num", label: t("version"), cell: (/** @type {any} */ row) => format.count(row.version) },
        { title: t("updated"), look: "nowrap num", label: t("updated"), cell: (/** @type {any} */ row) => format.instant(row.updated_at) },
      ]} /><//>
  </div>`;
}

/**
 * What plans and projects are asked for alike: the site, the weather station, the boundary, and a period.
 * @param {Record<string, string>} query
 */
function useBasics(query) {
  const sources = useLoaded((signal) => get("/v1/devices", { query: { limit: 500 }, signal }), []);
  const devices = sources.data?.items ?? [];
  const sites = [...new Set(devices.map((/** @type {any} */ device) => device.site_id).filter(Boolean))];
  const measures = (/** @type {any} */ device, /** @type {string} */ metric) => device.state?.values.some((/** @type {any} */ value) => value.metric === metric) ?? false;
  // What measures the air's pressure and says so in its type is more likely to be outdoors.
  const likely = (/** @type {any} */ device) => Number(measures(device, "pressure_hpa")) + Number(/weather|meteo/i.test(device.type ?? ""));
  const stations = devices.filter((/** @type {any} */ device) => measures(device, "temperature_celsius")).sort((/** @type {any} */ a, /** @type {any} */ b) => likely(b) - likely(a)).map((/** @type {any} */ device) => device.device_id);
  const [draft, setDraft] = useState(/** @type {Record<string, string>} */ ({
    site_id: query.site_id ?? "", weather_device: "", boundary: "hvac", zone: format.ZONE, from: dayOf(Date.now() - 91 * DAY), until: dayOf(Date.now()),
  }));
  const set = (/** @type {string} */ name) => (/** @type {string} */ value) => setDraft({ ...draft, [name]: value });
  /** @type {Record<string, string>} */
  const values = { ...draft, site_id: draft.site_id || String(sites[0] ?? ""), weather_device: draft.weather_device || String(stations[0] ?? "") };
  return { values, set, sites, stations, devices, problem: sources.problem };
}

/** Whether a metric is likely to be a price per kWh. @param {string} metric */
const isPrice = (metric) => /price|precio|tarif/.test(metric);

/**
 * The series of prices that devices report, each as metric and device.
 * @param {any[]} devices
 * @returns {[string, string][]}
 */
function priceSeries(devices) {
  const found = devices.flatMap((device) => (device.state?.values ?? []).filter((/** @type {any} */ value) => isPrice(value.metric)).map((/** @type {any} */ value) => [value.metric, device.device_id]));
  return [["energy_price_usd_per_kwh", ""], ...found];
}

/**
 * The price as the API has it: an amount, or a series.
 * @param {Record<string, string>} values
 */
function priceFrom(values) {
  const currency = values.currency || "EUR";
  if (values.price_kind === "series") {
    const [metric, device] = JSON.parse(values.price_series || '["energy_price_usd_per_kwh", ""]');
    return { series: { metric, ...(device ? { device_id: device } : {}) }, currency };
  }
  return values.price ? { per_kwh: Number(values.price), currency } : null;
}

/** @param {number} at */
const dayOf = (at) => new Date(at).toISOString().slice(0, 10);

/** The begin of a day of the browser's zone, as the API has instants. @param {string} day */
const midnight = (day) => new Date(Math.round(new Date(`${day}T00:00:00`).getTime() / HOUR) * HOUR).toISOString().replace(".000", "");

/** @param {{ basics: ReturnType<typeof useBasics> }} properties */
const Basics = ({ basics: { values, set, sites, stations } }) => html`
  <${Field} label=${t("site")} value=${values.site_id} set=${set("site_id")} options=${sites.map((site) => [site, site])} />
  <${Field} label=${t("pilot.weather")} value=${values.weather_device} set=${set("weather_device")} options=${stations.map((/** @type {string} */ id) => [id, id])} />
  <${Field} label=${t("pilot.boundary")} value=${values.boundary} set=${set("boundary")} options=${["hvac", "facility_less_it"].map((name) => [name, named("boundary", name)])} />`;

/** @param {{ query: Record<string, string> }} properties */
function Plan({ query }) {
  const basics = useBasics(query);
  const { values, set } = basics;
  const [plan, setPlan] = useState(/** @type {any} */ (null));
  const planning = useAction(async () => {
    const json = { site_id: values.site_id, weather_device: values.weather_device, boundary: values.boundary, zone: values.zone, baseline: { from: midnight(values.from ?? ""), until: midnight(values.until ?? "") } };
    setPlan(await get("/v1/savings/plans", { method: "POST", json }));
  });
  return html`<div class="page">
    <${PageHead} title=${t("pilot.plan")} lead=${t("pilot.plan.lead")} />
    <form class="card" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); setPlan(null); void planning.run(); }}><div class="card-body">
      <${ProblemNotice} problem=${basics.problem ?? planning.problem} />
      <div class="filters"><${Basics} basics=${basics} />
        <${Field} label=${t("pilot.baseline.from")} type="date" required value=${values.from} set=${set("from")} />
        <${Field} label=${t("pilot.baseline.until")} type="date" required value=${values.until} set=${set("until")} /></div>
      <div class="buttons"><button class="button primary" disabled=${planning.isBusy}>${t("pilot.plan.run")}</button></div>
    </div></form>
    ${planning.isBusy && html`<div class="card"><${Skeleton} rows=${4} height=${32} /></div>`}
    ${plan && html`<${Card} title=${t("pilot.plan.result")} note=${t("pilot.plan.hours", { hours: format.count(plan.hours) })} bare><${Table} caption=${t("pilot.plan.result")} rows=${plan.pilots} keyOf=${(/** @type {any} */ row) => String(row.weeks)} columns=${[
      { title: t("pilot.weeks"), cell: (/** @type {any} */ row) => html`<strong>${t("weeks", { count: row.weeks })}</strong>` },
      ...["crossover", "pre_post"].flatMap((design) => [
        { title: `${named("design", design)}: ±`, look: "num", label: `${named("design", design)} ±`, cell: (/** @type {any} */ row) => share(row[design]?.half_width_percent) },
        { title: `${named("design", design)}: ${t("pilot.smallest")}`, look: "num", label: t("pilot.smallest"), cell: (/** @type {any} */ row) => share(row[design]?.smallest_saving_percent) },
      ])]} /><//><p class="small muted">${t("pilot.plan.note")}</p>`}
  </div>`;
}

/** @param {number | null | undefined} value */
const share = (value) => (value === null || value === undefined ? "–" : `${format.number(value, 1)} %`);

/** @param {{ query: Record<string, string> }} properties */
function NewProject({ query }) {
  const basics = useBasics(query);
  const { values, set } = basics;
  const kind = values.kind ?? "crossover";
  const creating = useAction(async () => {
    const design = kind === "crossover"
      ? { kind, first_day: values.first_day, pairs: Number(values.pairs ?? 28), washout: true }
      : { kind, baseline: { from: midnight(values.from ?? ""), until: midnight(values.until ?? "") }, reporting: { from: midnight(values.after_from ?? ""), until: midnight(values.after_until ?? "") } };
    const json = {
      name: values.name, site_id: values.site_id, weather_device: values.weather_device, boundary: values.boundary, zone: values.zone, design,
      price: priceFrom(values),
      co2e_kg_per_kwh: values.co2e ? Number(values.co2e) : null,
      assumptions: (values.assumptions ?? "").split("\n").map((line) => line.trim()).filter(Boolean),
    };
    const project = await get("/v1/savings/projects", { method: "POST", json });
    go(`/pilot/${part(project.id)}`);
  });
  const field = (/** @type {string} */ name, /** @type {any} */ words, /** @type {any} */ rest = {}) => html`<${Field} label=${t(words)} value=${values[name] ?? ""} set=${set(name)} ...${rest} />`;
  return html`<div class="page">
    <${PageHead} title=${t("pilot.new")} lead=${t("pilot.new.lead")} />
    <form class="card" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); void creating.run(); }}><div class="card-body">
      <${ProblemNotice} problem=${basics.problem ?? creating.problem} />
      <div class="filters">${field("name", "name", { required: true })}<${Basics} basics=${basics} />
        <${Field} label=${t("pilot.design")} value=${kind} set=${set("kind")} options=${["crossover", "pre_post"].map((name) => [name, named("design", name)])} />
        ${kind === "crossover" ? html`${field("first_day", "pilot.first.day", { type: "date", required: true })}<${Field} label=${t("pilot.pairs")} type="number" min="3" max="91" required value=${values.pairs ?? "28"} set=${set("pairs")} />`
          : html`${field("from", "pilot.baseline.from", { type: "date", required: true })}${field("until", "pilot.baseline.until", { type: "date", required: true })}
            ${field("after_from", "pilot.reporting.from", { type: "date", required: true })}${field("after_until", "pilot.reporting.until", { type: "date", required: true })}`}
        <${Field} label=${t("pilot.price.kind")} value=${values.price_kind ?? "fixed"} set=${set("price_kind")} options=${["fixed", "series"].map((name) => [name, t(/** @type {any} */ (`pilot.price.${name}`))])} />
        ${values.price_kind === "series" ? field("price_series", "pilot.price.of", { options: priceSeries(basics.devices).map(([metric, device]) => [JSON.stringify([metric, device]), `${device || t("site.own")} · ${metric}`]) })
          : field("price", "pilot.price", { type: "number", min: "0", step: "any" })}${field("currency", "pilot.currency", { pattern: "[A-Z]{3}", placeholder: "EUR" })}
        ${field("co2e", "pilot.co2e", { type: "number", min: "0", step: "any" })}</div>
      ${field("assumptions", "pilot.assumptions", { rows: 4, hint: t("pilot.assumptions.hint") })}
      <div class="buttons"><button class="button primary" disabled=${creating.isBusy}>${t("create")}</button></div>
    </div></form>
  </div>`;
}
