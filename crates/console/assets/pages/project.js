// One savings project: what was agreed on, its schedule with confirmations, and its reports.
import { call, get, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction, useLoaded } from "../core/loading.js";
import { go, to } from "../core/router.js";
import { can, caller } from "../core/session.js";
import { html, useEffect, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Badge, Card, Dialog, Empty, Fact, Field, PageHead, Skeleton } from "../parts/controls.js";
import { ProblemNotice, Said } from "../parts/problem.js";
import { PagedTable, usePages } from "../parts/table.js";
import { DeleteReport } from "./report.js";

/** The time between two looks at a report that is being computed. */
const LOOK = 2000;

/** @param {{ id: string }} properties */
export function Project({ id }) {
  const path = `/v1/savings/projects/${part(id)}`;
  const { data, problem, reload } = useLoaded((signal) => get(path, { signal }), [id]);
  const [isDeleting, setDeleting] = useState(false);
  if (problem) return html`<div class="page"><${PageHead} title=${t("pilot")} /><${ProblemNotice} problem=${problem} onRetry=${reload} /></div>`;
  if (!data) return html`<div class="page"><${PageHead} title=${t("pilot")} /><div class="card"><${Skeleton} rows=${6} height=${40} /></div></div>`;
  return html`<div class="page">
    <${PageHead} title=${data.terms.name} lead=${t("pilot.version", { version: data.version, at: format.instant(data.updated_at) })}>
      ${can("savings:manage") && html`<button type="button" class="button danger" onClick=${() => setDeleting(true)}>${t("delete")}</button>`}<//>
    ${isDeleting && html`<${DeleteProject} project=${data} path=${path} onClose=${() => setDeleting(false)} />`}
    <${Reports} path=${path} />
    <div class="grid-2"><${Terms} project=${data} /><${Adjustments} project=${data} path=${path} reload=${reload} /></div>
    ${data.terms.design.kind === "crossover" && html`<${Schedule} project=${data} path=${path} reload=${reload} />`}
  </div>`;
}

/** @param {any} project */
const guard = (project) => ({ "If-Match": `"v${project.version}"` });

/** @param {{ project: any, path: string, onClose: () => void }} properties */
function DeleteProject({ project, path, onClose }) {
  const deleting = useAction(async () => { await call(path, { method: "DELETE", headers: guard(project) }); go("/pilot"); });
  return html`<${Dialog} title=${t("delete.pilot")} danger confirm=${t("delete")} isBusy=${deleting.isBusy} onConfirm=${() => void deleting.run()} onClose=${onClose}>
    <p>${t("delete.pilot.detail")}</p><${ProblemNotice} problem=${deleting.problem} /><//>`;
}

/** @param {{ project: any }} properties */
function Terms({ project: { terms } }) {
  const { design } = terms;
  const period = (/** @type {any} */ one) => `${format.day(one.from, terms.zone)} – ${format.day(one.until, terms.zone)}`;
  return html`<${Card} title=${t("pilot.terms")}><dl class="facts">
    <${Fact} term=${t("site")}><a href=${to(`/sites/${part(terms.site_id)}`)}>${terms.site_id}</a><//>
    <${Fact} term=${t("pilot.boundary")}>${named("boundary", terms.boundary)}<//>
    <${Fact} term=${t("pilot.design")}>${named("design", design.kind)}<//>
    ${design.kind === "pre_post" ? html`<${Fact} term=${t("pilot.baseline")}>${period(design.baseline)}<//><${Fact} term=${t("pilot.reporting")}>${period(design.reporting)}<//>`
      : html`<${Fact} term=${t("pilot.first.day")}>${format.day(design.first_day, "UTC")}<//><${Fact} term=${t("pilot.pairs")}>${format.count(design.pairs)}<//>`}
    <${Fact} term=${t("pilot.weather")}><a href=${to(`/devices/${part(terms.weather_device)}`)}>${terms.weather_device}</a><//>
    <${Fact} term=${t("pilot.zone")}>${terms.zone}<//>
    <${Fact} term=${t("pilot.price")}>${priceOf(terms.price)}<//>
    <${Fact} term=${t("pilot.co2e")}>${format.number(terms.co2e_kg_per_kwh)}<//>
    ${terms.assumptions.length > 0 && html`<${Fact} term=${t("pilot.assumptions")}><ul>${terms.assumptions.map((/** @type {string} */ one) => html`<li>${one}</li>`)}</ul><//>`}
  </dl><//>`;
}

/** Writes a price: its amount, or the series that it is. @param {any} price */
function priceOf(price) {
  if (!price) return "–";
  if (!price.series) return `${format.number(price.per_kwh)} ${price.currency}`;
  return html`${price.currency}, ${t("pilot.price.series")}: <span class="mono">${price.series.metric}</span>${price.series.device_id && html` · <a href=${to(`/devices/${part(price.series.device_id)}`)}>${price.series.device_id}</a>`}`;
}

/** @param {{ path: string }} properties */
function Reports({ path }) {
  const list = usePages(`${path}/reports`, { limit: 20 });
  const asking = useAction(async () => { await get(`${path}/reports`, { method: "POST" }); await list.reload(); });
  const [deleted, setDeleted] = useState(/** @type {string | null} */ (null));
  const isWaiting = list.rows.some(({ state }) => state === "queued" || state === "computing");
  useEffect(() => {
    if (!isWaiting) return undefined;
    const timer = setTimeout(() => void list.reload(), LOOK);
    return () => clearTimeout(timer);
  }, [list.rows]);
  return html`<${Card} title=${t("pilot.reports")} bare actions=${can("savings:manage") && html`<button type="button" class="button primary" disabled=${asking.isBusy} onClick=${() => void asking.run()}>${t("pilot.report.ask")}</button>`}>
    ${asking.problem && html`<div class="card-body"><${ProblemNotice} problem=${asking.problem} /></div>`}
    <${PagedTable} list=${list} caption=${t("pilot.reports")} keyOf=${(/** @type {any} */ row) => row.id} empty=${html`<${Empty} icon="pilot" title=${t("pilot.reports.none")}><p>${t("pilot.reports.none.detail")}</p><//>`}
      columns=${[
        { title: t("pilot.report"), look: "nowrap", cell: (/** @type {any} */ row) => (row.state === "done" ? html`<a href=${to(`/pilot/reports/${part(row.id)}`)}>${format.exactInstant(row.requested_at)}</a>` : format.exactInstant(row.requested_at)) },
        { title: t("state"), cell: (/** @type {any} */ row) => html`<${Badge} name=${row.state === "computing" ? "processing" : row.state} />` },
        { title: t("version"), look: "num", label: t("version"), cell: (/** @type {any} */ row) => format.count(row.project_version) },
        { title: t("detail"), look: "wide", cell: (/** @type {any} */ row) => row.failure ? html`<${Said} of=${{ code: row.failure_code, detail: row.failure }} group="failure" />` : (row.as_of ? t("pilot.as.of", { sequence: format.count(row.as_of.sequence) }) : "") },
        ...(can("savings:manage") ? [{ title: t("change"), look: "right", cell: (/** @type {any} */ row) => html`<button type="button" class="button small" onClick=${() => setDeleted(row.id)}>${t("delete")}<span class="visually-hidden"> ${format.exactInstant(row.requested_at)}</span></button>` }] : []),
      ]} />
    ${deleted && html`<${DeleteReport} id=${deleted} onClose=${() => setDeleted(null)} onDone=${() => { setDeleted(null); void list.reload(); }} />`}<//>`;
}

/** @param {{ project: any, path: string, reload: () => void }} properties */
function Adjustments({ project, path, reload }) {
  const [draft, setDraft] = useState(/** @type {Record<string, string> | null} */ (null));
  const saving = useAction(async () => {
    const { author, reason, kwh, from, until } = /** @type {Record<string, string>} */ (draft);
    const json = { author, reason, kwh: Number(kwh), period: { from: `${from}:00Z`, until: `${until}:00Z` } };
    await get(`${path}/adjustments`, { method: "POST", json, headers: guard(project) });
    setDraft(null);
    reload();
  });
  const field = (/** @type {string} */ name, /** @type {any} */ words, type = "text") => html`<${Field} label=${t(words)} type=${type} step=${type === "number" ? "any" : null} required value=${draft?.[name] ?? ""} set=${(/** @type {string} */ value) => setDraft({ ...draft, [name]: value })} />`;
  return html`<${Card} title=${t("pilot.adjustments")} note=${t("pilot.adjustments.note")} bare actions=${can("savings:manage") && html`<button type="button" class="button" onClick=${() => setDraft({ author: caller.value?.email ?? "" })}>${t("pilot.adjustment.new")}</button>`}>
    ${project.adjustments.length === 0 ? html`<p class="card-body muted">${t("pilot.adjustments.none")}</p>` : html`<ul class="issues">${project.adjustments.map((/** @type {any} */ one) => html`<li><div class="quiet-row">
      <div>${one.reason}<br /><span class="small muted">${one.author} · ${format.instant(one.period.from)} – ${format.instant(one.period.until)}</span></div><span class="n nowrap">${format.number(one.kwh)} kWh</span></div></li>`)}</ul>`}
    ${draft && html`<${Dialog} title=${t("pilot.adjustment.new")} confirm=${t("save")} isBusy=${saving.isBusy} onConfirm=${() => void saving.run()} onClose=${() => setDraft(null)}>
      <${ProblemNotice} problem=${saving.problem} />${field("reason", "reason")}${field("author", "pilot.author")}${field("from", "pilot.from.utc", "datetime-local")}${field("until", "pilot.until.utc", "datetime-local")}${field("kwh", "pilot.kwh", "number")}<//>`}
  <//>`;
}

/** @param {{ project: any, path: string, reload: () => void }} properties */
function Schedule({ project, path, reload }) {
  const drawing = useAction(async () => { await get(`${path}/schedule`, { method: "POST", headers: guard(project) }); reload(); });
  const [day, setDay] = useState(/** @type {any} */ (null));
  const { schedule } = project;
  if (!schedule) return html`<${Card} title=${t("pilot.schedule")}><${ProblemNotice} problem=${drawing.problem} /><${Empty} icon="clock" title=${t("pilot.schedule.none")}><p>${t("pilot.schedule.none.detail")}</p>
    ${can("savings:manage") && html`<button type="button" class="button primary" disabled=${drawing.isBusy} onClick=${() => void drawing.run()}>${t("pilot.schedule.draw")}</button>`}<//><//>`;
  const confirmed = new Map(project.confirmations.map((/** @type {any} */ one) => [one.day, one]));
  return html`<${Card} title=${t("pilot.schedule")} note=${t("pilot.schedule.note", { seed: String(schedule.seed), at: format.exactInstant(schedule.drawn_at) })}>
    <p class="small muted">${t("pilot.schedule.confirmed", { count: confirmed.size, all: schedule.days.length })}</p>
    <ol class="days">${schedule.days.map((/** @type {any} */ one) => html`<${DayCell} key=${one.day} day=${one} confirmation=${confirmed.get(one.day)} onOpen=${() => setDay(one)} />`)}</ol>
    ${day && html`<${DayDialog} day=${day} known=${confirmed.get(day.day)} project=${project} path=${path} onClose=${() => setDay(null)} reload=${reload} />`}
  <//>`;
}

/** @param {{ day: any, confirmation: any, onOpen: () => void }} properties */
function DayCell({ day, confirmation, onOpen }) {
  const words = `${format.day(day.day, "UTC")}: ${t(day.on ? "pilot.on" : "pilot.off")}, ${confirmation ? named("followed", confirmation.plan) : t("pilot.unconfirmed")}`;
  const content = html`<span aria-hidden="true">${format.day(day.day, "UTC")}</span><strong aria-hidden="true">${t(day.on ? "pilot.on" : "pilot.off")}</strong><span class="small" aria-hidden="true">${confirmation ? named("followed", confirmation.plan) : "·"}</span>`;
  const isPast = new Date(day.day).getTime() <= Date.now();
  return html`<li class="day" data-on=${String(day.on)} data-state=${confirmation?.plan ?? ""}>${can("savings:manage") && isPast ? html`<button type="button" aria-label=${words} onClick=${onOpen}>${content}</button>` : html`<div><span class="visually-hidden">${words}</span>${content}</div>`}</li>`;
}

/** @param {{ day: any, known: any, project: any, path: string, onClose: () => void, reload: () => void }} properties */
function DayDialog({ day, known, project, path, onClose, reload }) {
  const [plan, setPlan] = useState(known?.plan ?? "applied");
  const [share, setShare] = useState(String(known?.share ?? ""));
  const [reason, setReason] = useState(known?.reason ?? "");
  const [author, setAuthor] = useState(known?.author ?? caller.value?.email ?? "");
  const saving = useAction(async () => {
    const json = { plan, author, ...(plan === "partly" ? { share: Number(share) } : {}), ...(reason ? { reason } : {}) };
    await get(`${path}/days/${part(day.day)}`, { method: "PUT", json, headers: guard(project) });
    onClose();
    reload();
  });
  return html`<${Dialog} title=${`${format.day(day.day, "UTC")} · ${t(day.on ? "pilot.on" : "pilot.off")}`} confirm=${t("pilot.confirm")} isBusy=${saving.isBusy} onConfirm=${() => void saving.run()} onClose=${onClose}>
    <${ProblemNotice} problem=${saving.problem} />
    <${Field} label=${t("pilot.followed")} value=${plan} set=${setPlan} options=${["applied", "not_applied", "partly"].map((name) => [name, named("followed", name)])} />
    ${plan === "partly" && html`<${Field} label=${t("pilot.share")} type="number" min="0" max="1" step="any" required value=${share} set=${setShare} />`}
    ${plan !== "applied" && html`<${Field} label=${t("reason")} required value=${reason} set=${setReason} />`}
    <${Field} label=${t("pilot.author")} required value=${author} set=${setAuthor} /><//>`;
}
