// The report of a pilot: its verdict, what was saved, and what that rests on.
import { call, download, get, handOver, part } from "../core/api.js";
import { language } from "../core/choices.js";
import * as format from "../core/format.js";
import { useAction, useLoaded } from "../core/loading.js";
import { go, to } from "../core/router.js";
import { can } from "../core/session.js";
import { html, useMemo, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Chart } from "../parts/chart.js";
import { Badge, Card, Dialog, Fact, Figure, PageHead, Skeleton } from "../parts/controls.js";
import { Icon } from "../parts/icons.js";
import { ProblemNotice, Said } from "../parts/problem.js";
import { Table } from "../parts/table.js";

const WEEK = 7 * 86_400;

/** @param {{ id: string }} properties */
export function Report({ id }) {
  const path = `/v1/savings/reports/${part(id)}`;
  const { data, problem, reload } = useLoaded((signal) => get(path, { signal }), [id]);
  const saving = useAction((/** @type {string} */ ending, /** @type {string} */ type) =>
    download(path, `report-${id}.${ending}`, { query: type === "application/pdf" ? { language: language.value } : {}, headers: { Accept: type } }));
  const [isDeleting, setDeleting] = useState(false);
  if (problem) return html`<div class="page"><${PageHead} title=${t("pilot.report")} /><${ProblemNotice} problem=${problem} onRetry=${reload} /></div>`;
  if (!data?.document) return html`<div class="page"><${PageHead} title=${t("pilot.report")} />${data ? html`<div class="notice"><${Badge} name=${data.state} /> ${data.failure && html`<p><${Said} of=${{ code: data.failure_code, detail: data.failure }} group="failure" /></p>`}</div>` : html`<div class="card"><${Skeleton} rows=${6} height=${48} /></div>`}</div>`;
  const { document, note } = data;
  const signed = () => handOver(new Blob([JSON.stringify({ document, note })], { type: "application/json" }), `report-${id}.json`);
  return html`<div class="page">
    <${PageHead} title=${t("pilot.report")} lead=${html`<a href=${to(`/pilot/${part(data.project_id)}`)}>${document.project.terms.name}</a> · ${t("version")} ${format.count(data.project_version)} · ${format.instant(data.finished_at)}`}>
      <button type="button" class="button primary" disabled=${saving.isBusy} onClick=${() => void saving.run("pdf", "application/pdf")}><${Icon} name="download" />PDF</button>
      <button type="button" class="button" disabled=${saving.isBusy} onClick=${() => void saving.run("csv", "text/csv")}><${Icon} name="download" />CSV</button>
      <button type="button" class="button" onClick=${signed}><${Icon} name="download" />JSON</button>
      ${can("savings:manage") && html`<button type="button" class="button danger" onClick=${() => setDeleting(true)}>${t("delete")}</button>`}<//>
    ${isDeleting && html`<${DeleteReport} id=${id} onClose=${() => setDeleting(false)} onDone=${() => go(`/pilot/${part(data.project_id)}`)} />`}
    <${ProblemNotice} problem=${saving.problem} />
    <${Verdict} verdict=${document.verdict} />
    <${Saving} figures=${document.saving ?? document.offer} isOffer=${!document.saving} />
    ${document.result.design === "pre_post" && html`<${BeforeAfter} weeks=${document.result.weeks} />`}
    <div class="grid-2"><${Evidence} document=${document} /><${Rests} document=${document} note=${note} /></div>
  </div>`;
}

/** @param {{ id: string, onClose: () => void, onDone: () => void }} properties */
export function DeleteReport({ id, onClose, onDone }) {
  const deleting = useAction(async () => { await call(`/v1/savings/reports/${part(id)}`, { method: "DELETE" }); onDone(); });
  return html`<${Dialog} title=${t("delete.report")} danger confirm=${t("delete")} isBusy=${deleting.isBusy} onConfirm=${() => void deleting.run()} onClose=${onClose}>
    <p>${t("delete.report.detail")}</p><${ProblemNotice} problem=${deleting.problem} /><//>`;
}

/** @type {Record<string, string>} */
const LOOKS = { claimed: "good", indicative: "warn", refused: "bad" };

/** @param {{ verdict: any }} properties */
const Verdict = ({ verdict }) => html`<div class="notice ${LOOKS[verdict.standing] ?? ""}"><strong>${named("standing", verdict.standing)}</strong><p>${named("standing.detail", verdict.standing)}</p>
  ${verdict.reasons.length > 0 && html`<ul>${verdict.reasons.map((/** @type {any} */ one) => html`<li>${named("because", one.reason)}${typeof one.value === "number" ? html` <span class="muted">(${format.number(one.value)})</span>` : ""}</li>`)}</ul>`}</div>`;

/** @param {{ figures: any, isOffer: boolean }} properties */
function Saving({ figures, isOffer }) {
  if (!figures) return null;
  const [energy, unit] = format.energy(figures.energy_kwh);
  return html`${isOffer && html`<p class="small muted">${t("pilot.offer")}</p>`}<dl class="figures">
    <${Figure} term=${t("pilot.saved")} value=${energy} unit=${unit} note="± ${format.energy(figures.half_width_kwh).join(" ")}" />
    <${Figure} term=${t("pilot.saved.share")} value=${format.number(figures.percent, 1)} unit="%" note="± ${format.number(figures.half_width_percent, 1)} %" />
    ${figures.priced && html`<${Figure} term=${t("pilot.priced")} value=${format.percent(figures.priced.share)} note=${figures.cost ? " " : t("pilot.priced.few")} />`}
    ${figures.cost && html`<${Figure} term=${t("kpi.cost")} value=${format.money(figures.cost.amount, figures.cost.currency)} note="± ${format.money(figures.cost.half_width, figures.cost.currency)}" />`}
    ${figures.co2e && html`<${Figure} term=${t("kpi.co2e_kg")} value=${format.number(figures.co2e.kg)} unit="kg" note="± ${format.number(figures.co2e.half_width_kg)} kg" />`}
  </dl><p class="small muted">${t("pilot.confidence")}</p>`;
}

/** @param {{ weeks: { baseline: any[], reporting: any[] } }} properties */
function BeforeAfter({ weeks }) {
  // Weeks have unequal numbers of usable hours: their mean powers compare.
  const lines = useMemo(() => {
    const all = [...weeks.baseline, ...weeks.reporting];
    const of = (/** @type {(week: any) => number} */ value) => ({ values: new Map(all.map((week) => [week.from, value(week) / week.hours])), ends: new Map(all.map((week) => [week.from, week.from + WEEK])) });
    return [
      { label: t("pilot.upper"), unit: "kW", color: "c6", dash: [2, 3], ...of((week) => week.predicted_kwh + week.half_width_kwh) },
      { label: t("pilot.lower"), unit: "kW", color: "c6", dash: [2, 3], ...of((week) => week.predicted_kwh - week.half_width_kwh) },
      { label: t("pilot.predicted"), unit: "kW", color: "c2", dash: [6, 3], ...of((week) => week.predicted_kwh) },
      { label: t("pilot.measured"), unit: "kW", color: "c1", ...of((week) => week.measured_kwh) },
    ];
  }, [weeks]);
  const begin = weeks.reporting[0]?.from;
  return html`<${Card} title=${t("pilot.before.after")} note=${t("pilot.before.after.note")}><${Chart} lines=${lines} unit="kW" label=${t("pilot.before.after")} band=${true} marks=${begin ? [{ at: begin, words: "" }] : []} height=${300} /><//>`;
}

/** @param {{ document: any }} properties */
function Evidence({ document: { result } }) {
  const { evidence } = result;
  if (result.design === "crossover") {
    return html`<${Card} title=${t("pilot.evidence")}><dl class="facts"><${Fact} term=${t("pilot.pairs")}>${format.count(evidence.pairs)}<//><${Fact} term=${t("kpi.completeness")}>${format.percent(evidence.completeness)}<//>
      <${Fact} term=${t("pilot.confirmed")}>${format.percent(evidence.confirmed)}<//><${Fact} term=${t("pilot.off.plan")}>${format.percent(evidence.off_plan)}<//>
      ${result.evaluation && html`<${Fact} term="CV(RMSE)">${format.percent(result.evaluation.cv_rmse, 1)}<//>`}</dl><//>`;
  }
  return html`<${Card} title=${t("pilot.evidence")}>${evidence && html`<dl class="facts">
      <${Fact} term=${t("pilot.supported")}>${format.percent(evidence.supported_energy)}<//><${Fact} term="CV(RMSE)">${format.percent(evidence.cv_rmse, 1)}<//>
      <${Fact} term=${t("pilot.baseline")}>${t("weeks", { count: format.number(evidence.baseline_weeks, 1) })} · ${format.percent(evidence.baseline_completeness)}<//>
      <${Fact} term=${t("pilot.reporting")}>${t("weeks", { count: format.number(evidence.reporting_weeks, 1) })} · ${format.percent(evidence.reporting_completeness)}<//>
      ${result.placebo && html`<${Fact} term=${t("pilot.placebo")}>${t("pilot.placebo.result", { share: format.percent(result.placebo.false_savings), count: result.placebo.supported })}<//>`}
      ${result.saving && html`<${Fact} term="ASHRAE Guideline 14">± ${format.energy(result.saving.guideline_14_kwh).join(" ")}<//>`}</dl>`}
    ${result.alternatives.length > 0 && html`<${Table} caption=${t("pilot.alternatives")} rows=${result.alternatives} keyOf=${(/** @type {any} */ row) => JSON.stringify(row.alternative)} columns=${[
      { title: t("pilot.alternatives"), cell: (/** @type {any} */ row) => named("alternative", typeof row.alternative === "string" ? row.alternative : String(Object.values(row.alternative)[0])) },
      { title: t("pilot.predicted"), look: "num", cell: (/** @type {any} */ row) => format.energy(row.predicted_kwh).join(" ") },
    ]} />`}<//>`;
}

/** @param {{ document: any, note: string }} properties */
const Rests = ({ document, note }) => html`<${Card} title=${t("pilot.rests")}><dl class="facts">
  <${Fact} term=${t("events")}>${format.count(document.as_of.sequence)}<//><${Fact} term=${t("audit.root")}><span class="mono small">${document.as_of.root}</span><//>
  <${Fact} term=${t("pilot.project")}><span class="mono small">${document.project_fingerprint}</span><//>
  <${Fact} term=${t("pilot.hours")}>${format.count(document.hours.count)}<//><${Fact} term=${t("pilot.program")}>${document.program}<//></dl>
  <details><summary>${t("pilot.note")}</summary><pre tabindex="0">${note}</pre></details><//>`;
