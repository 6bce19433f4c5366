// The import: a file, a look at its first records, the upload, and what became of it.
import { get, handOver, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction, useLoaded } from "../core/loading.js";
import { to } from "../core/router.js";
import { html, useRef, useState } from "../core/view.js";
import { upload } from "../core/upload.js";
import { named, t } from "../core/words.js";
import { Card, Check, Dialog, Empty, Field, Figure, PageHead } from "../parts/controls.js";
import { JsonDocument } from "../parts/document.js";
import { Icon } from "../parts/icons.js";
import { ProblemNotice } from "../parts/problem.js";
import { CONTRACTS, HEAD_BYTES, documentOf, preview } from "../parts/records.js";

/** @typedef {{ contract: string, map: string, quarantine: boolean, correct: boolean }} Choices */

/** The most results of an answer that the page keeps. */
const MOST = 1000;
const TYPES = { ndjson: "application/x-ndjson", json: "application/json", csv: "text/csv", other: "text/plain" };

export default function Import() {
  const [file, setFile] = useState(/** @type {{ blob: File, shown: import("../parts/records.js").Preview } | null} */ (null));
  const [choices, setChoices] = useState(/** @type {Choices} */ ({ contract: "", map: "", quarantine: true, correct: false }));
  const mappings = useLoaded((signal) => get("/v1/mappings", { query: { limit: 100 }, signal }), []);
  const names = (mappings.data?.items ?? []).map((/** @type {any} */ mapping) => mapping.name);
  /** @param {File} blob */
  const choose = async (blob) => {
    const shown = preview(blob.name, await blob.slice(0, HEAD_BYTES).text());
    setFile({ blob, shown });
    setChoices((before) => ({ ...before, contract: shown.form === "csv" ? contractOf(shown.header) : "", map: "" }));
  };
  return html`<div class="page">
    <${PageHead} title=${t("import")} lead=${t("import.lead")} />
    <${Drop} onFile=${choose} name=${file?.blob.name} size=${file?.blob.size} />
    ${file && html`<${Chosen} key=${`${file.blob.name} ${file.blob.lastModified} ${file.blob.size}`} blob=${file.blob} shown=${file.shown} choices=${choices} setChoices=${setChoices} names=${names} />`}
  </div>`;
}

/** @param {string[]} header */
function contractOf(header) {
  if (header.includes("metadata.operator") && header.includes("metrics.pressure_hpa")) return "device/1.1";
  return header.includes("device.id") ? "device/2.0" : header.some((name) => name.startsWith("payload.")) ? "simple/1.0" : "";
}

/** @param {{ onFile: (file: File) => void, name: string | undefined, size: number | undefined }} properties */
function Drop({ onFile, name, size }) {
  const [isOver, setOver] = useState(false);
  const over = (/** @type {boolean} */ value) => (/** @type {DragEvent} */ event) => { event.preventDefault(); setOver(value); };
  return html`<div class="drop" data-over=${String(isOver)} onDragOver=${over(true)} onDragLeave=${over(false)} onDrop=${(/** @type {DragEvent} */ event) => {
    over(false)(event);
    const [dropped] = event.dataTransfer?.files ?? [];
    if (dropped) onFile(dropped);
  }}>
    <${Icon} name="import" /><p>${name ? html`<strong>${name}</strong> · ${format.size(size)}` : t("import.drop")}</p>
    <label class="button">${t(name ? "import.other" : "import.choose")}<input class="visually-hidden" type="file" accept=".csv,.tsv,.txt,.json,.ndjson,.jsonl"
      onChange=${(/** @type {Event} */ event) => {
        const [chosen] = /** @type {HTMLInputElement} */ (event.target).files ?? [];
        if (chosen) onFile(chosen);
      }} /></label>
    <p class="small muted">${t("import.forms")}</p>
  </div>`;
}

/** @param {{ blob: File, shown: import("../parts/records.js").Preview, choices: Choices, setChoices: (choices: Choices) => void, names: string[] }} properties */
function Chosen({ blob, shown, choices, setChoices, names }) {
  const [share, setShare] = useState(0);
  const [answer, setAnswer] = useState(/** @type {any} */ (null));
  const stop = useRef(new AbortController());
  const [call] = useState(() => `console-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`);
  const sending = useAction(async () => {
    stop.current = new AbortController();
    const { contract, map, quarantine, correct } = choices;
    const query = { call_id: call, results: "errors", quarantine, on_conflict: correct ? "correct" : undefined, map, contract: map ? undefined : contract };
    setAnswer(await upload("/v1/mass-requests/batch", { query, body: blob, type: TYPES[shown.form], onProgress: setShare, signal: stop.current.signal }));
  });
  const needsContract = shown.form === "csv" && !choices.map && !choices.contract;
  const isOther = shown.form === "other" && !choices.map;
  const change = (/** @type {keyof Choices} */ name) => (/** @type {any} */ value) => setChoices({ ...choices, [name]: value });
  return html`
    <${Card} title=${t("import.how")}><div class="filters">
        ${names.length > 0 && html`<${Field} label=${t("mapping")} value=${choices.map} set=${change("map")} options=${[["", t("mapping.none")], ...names.map((name) => [name, name])]} />`}
        <${Field} label=${t("contract")} value=${choices.contract} set=${change("contract")} disabled=${choices.map !== ""} options=${[["", shown.form === "csv" ? t("choose") : t("import.own")], ...CONTRACTS.map((name) => [name, name])]} />
      </div>
      <${Check} label=${t("import.quarantine")} value=${choices.quarantine} set=${change("quarantine")} />
      <${Check} label=${t("import.correct")} value=${choices.correct} set=${change("correct")} />
      ${isOther && html`<div class="notice warn"><p>${t("import.needs.mapping")}</p></div>`}
      <div class="buttons"><button type="button" class="button primary" disabled=${sending.isBusy || needsContract || isOther || answer !== null} onClick=${() => void sending.run()}>${t("import")}</button>
        ${sending.isBusy && html`<button type="button" class="button" onClick=${() => stop.current.abort()}>${t("cancel")}</button>`}</div>
      ${sending.isBusy && html`<progress max="1" value=${share} aria-label=${t("progress")}></progress><p class="small muted" role="status">${share < 1 ? t("import.sending", { share: format.percent(share) }) : t("import.judging")}</p>`}
      <${ProblemNotice} problem=${sending.problem} />
    <//>
    ${answer ? html`<${Result} answer=${answer} call=${call} name=${blob.name} kept=${choices.quarantine} />` : html`<${Look} shown=${shown} contract=${choices.contract} isMapped=${choices.map !== ""} />`}`;
}

/**
 * The first records, each with what the server would say to it.
 * @param {{ shown: import("../parts/records.js").Preview, contract: string, isMapped: boolean }} properties
 */
function Look({ shown, contract, isMapped }) {
  const records = shown.form === "csv" ? shown.rows.map((row) => documentOf(shown.header, row)) : shown.records;
  const canJudge = !isMapped && records.length > 0 && (shown.form !== "csv" || contract !== "");
  const verdicts = useLoaded(async (signal) => {
    if (!canJudge) return [];
    const judge = (/** @type {unknown} */ json) => get("/v1/mass-requests/validate", { method: "POST", json, query: { contract }, signal });
    return Promise.all(records.map((record) => judge(record).catch((problem) => ({ valid: false, violations: problem.document.violations ?? [{ pointer: "", detail: problem.message }], warnings: [] }))));
  }, [contract, canJudge]);
  const judged = verdicts.data ?? [];
  const refused = judged.filter((verdict) => !verdict.valid).length;
  if (records.length === 0) return html`<div class="card"><${Empty} icon="import" title=${t("import.look.none")}><p>${t("import.look.none.detail")}</p><//></div>`;
  return html`<${Card} title=${t("import.look", { count: records.length })} note=${isMapped ? t("import.look.mapped") : judged.length > 0 ? t("import.look.verdict", { refused, count: judged.length }) : ""} bare>
    ${shown.form === "csv" ? html`<${Rows} shown=${shown} verdicts=${judged} />` : html`<ul class="issues">${records.map((record, index) => html`<li key=${index}><div class="quiet-row"><div>
      <${Verdict} verdict=${judged[index]} /><${JsonDocument} value=${record} remarks=${[...(judged[index]?.violations ?? []), ...(judged[index]?.warnings ?? [])]} /></div></div></li>`)}</ul>`}
  <//>`;
}

/** @param {{ verdict: any }} properties */
const Verdict = ({ verdict }) => verdict && html`<span class="badge ${verdict.valid ? "good" : "bad"}"><${Icon} name=${verdict.valid ? "check" : "cross"} />${t(verdict.valid ? "import.good" : "import.refused")}</span>`;

/** @param {{ shown: import("../parts/records.js").Preview, verdicts: any[] }} properties */
const Rows = ({ shown, verdicts }) => html`<div class="table-wrap" tabindex="0" role="region" aria-label=${t("import.rows")}><table class="table"><thead><tr><th scope="col" class="num">#</th><th scope="col">${t("verdict")}</th>${shown.header.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
  <tbody>${shown.rows.map((row, index) => html`<tr key=${index}><td class="num">${index + 1}</td><td><${Verdict} verdict=${verdicts[index]} />
    ${(verdicts[index]?.violations ?? []).slice(0, 3).map((/** @type {any} */ violation) => html`<span class="sub"><code>${violation.pointer}</code> ${violation.detail}</span>`)}</td>
    ${row.map((cell) => html`<td class="nowrap">${cell}</td>`)}</tr>`)}</tbody></table></div>`;

/** @param {{ answer: any, call: string, name: string, kept: boolean }} properties */
function Result({ answer, call, name, kept }) {
  const { totals } = answer;
  const refused = answer.results.filter((/** @type {any} */ line) => line.outcome === "rejected" || line.outcome === "conflict");
  const stored = totals.accepted + totals.correction;
  const [isUndoing, setUndoing] = useState(false);
  return html`
    <dl class="figures">${["read", "accepted", "duplicate", "correction", "conflict", "rejected"].map((member) => html`<${Figure} key=${member} term=${named("total", member)} value=${format.count(totals[member])} />`)}</dl>
    ${answer.error && html`<div class="notice bad" role="alert"><strong>${answer.error.title}</strong><p>${answer.error.detail}</p></div>`}
    <${Card} title=${t("import.done")} note=${html`<span class="mono">${call}</span>`}><div class="buttons">
      ${stored > 0 && html`<a class="button primary" href=${to("/requests", { call_id: call })}>${t("import.show")}</a><a class="button" href=${to("/")}>${t("overview")}</a>
        <button type="button" class="button danger" onClick=${() => setUndoing(true)}>${t("import.undo")}</button>`}
      ${refused.length > 0 && html`<button type="button" class="button" onClick=${() => handOver(new Blob([table(refused)], { type: "text/csv" }), `${name}.rejected.csv`)}><${Icon} name="download" />${t("import.refused.download")}</button>`}
    </div><//>
    ${refused.length > 0 && html`<${Card} title=${t("import.refused.rows", { count: format.count(totals.rejected + totals.conflict) })} bare><div class="table-wrap" tabindex="0" role="region" aria-label=${t("import.refused")}><table class="table"><thead><tr><th scope="col" class="num">${t("import.row")}</th><th scope="col">${t("reason")}</th><th scope="col">${t("import.mend")}</th></tr></thead>
      <tbody>${refused.slice(0, MOST).map((/** @type {any} */ line) => html`<tr><td class="num">${place(line)}</td><td>${reasons(line).map((reason) => html`<span><code>${reason.pointer}</code> ${reason.detail}<br /></span>`)}</td>
        <td>${line.quarantine_id ? html`<a href=${to(`/quarantine/${part(line.quarantine_id)}`)}>${t("import.mend")}</a>` : kept ? named("unkept", line.not_quarantined) : "–"}</td></tr>`)}</tbody></table></div><//>`}
    ${isUndoing && html`<${Undo} call=${call} onClose=${() => setUndoing(false)} />`}`;
}

/** @param {any} line */
const place = (line) => line.line ?? line.row ?? (line.index ?? 0) + 1;

/** @param {any} line @returns {{ pointer: string, detail: string }[]} */
const reasons = (line) => (line.violations?.length ? line.violations : (line.error?.violations ?? [{ pointer: "", detail: line.error?.detail ?? line.error?.title ?? "" }]));

/** Writes the refusals as CSV. @param {any[]} lines */
function table(lines) {
  const cell = (/** @type {unknown} */ value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
  const rows = lines.flatMap((line) => reasons(line).map((reason) => [place(line), reason.pointer, reason.detail].map(cell).join(",")));
  return `row,pointer,detail\r\n${rows.join("\r\n")}\r\n`;
}

/** Deletes what the import has stored, once it is counted. @param {{ call: string, onClose: () => void }} properties */
function Undo({ call, onClose }) {
  const counted = useLoaded((signal) => get("/v1/mass-requests", { method: "DELETE", query: { call_id: call }, signal }), [call]);
  const [deleted, setDeleted] = useState(/** @type {number | null} */ (null));
  const deleting = useAction(async () => {
    let sum = 0;
    for (let remaining = 1; remaining > 0; ) {
      const answer = await get("/v1/mass-requests", { method: "DELETE", query: { call_id: call, confirm: counted.data.token } });
      sum += answer.deleted ?? 0;
      remaining = answer.remaining ?? 0;
      setDeleted(sum);
    }
  });
  const isOver = deleted !== null && !deleting.isBusy && !deleting.problem;
  return html`<${Dialog} title=${t("import.undo")} danger=${!isOver} confirm=${isOver ? t("close") : t("import.undo")} isBusy=${deleting.isBusy || !counted.data} onConfirm=${() => (isOver ? onClose() : void deleting.run())} onClose=${onClose}>
    <p>${deleted !== null ? t("import.undone", { count: format.count(deleted) }) : counted.data ? t("import.undo.detail", { count: format.count(counted.data.matched) }) : t("loading")}</p>
    <${ProblemNotice} problem=${counted.problem ?? deleting.problem} /><//>`;
}
