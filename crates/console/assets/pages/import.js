// The import: a file, a look at its first records, the upload, and what became of it.
import { Problem, get, handOver, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction, useLoaded } from "../core/loading.js";
import { to } from "../core/router.js";
import { html, useRef, useState } from "../core/view.js";
import { upload } from "../core/upload.js";
import { named, t } from "../core/words.js";
import { Card, Check, Dialog, Empty, Field, Figure, PageHead, Skeleton } from "../parts/controls.js";
import { JsonDocument } from "../parts/document.js";
import { Icon } from "../parts/icons.js";
import { ProblemNotice, Said, saying } from "../parts/problem.js";
import { CONTRACTS, HEAD_BYTES, documentOf, preview, rowsAt } from "../parts/records.js";

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
    ${answer ? html`<${Result} answer=${answer} call=${call} name=${blob.name} kept=${choices.quarantine} />
        ${shown.form === "csv" && !choices.map && refusedOf(answer).length > 0 && html`<${MendRows} blob=${blob} shown=${shown} choices=${choices} call=${call} refused=${refusedOf(answer)} onSent=${setAnswer} />`}`
      : choices.map ? html`<${MappedLook} key=${choices.map} blob=${blob} name=${choices.map} />` : html`<${Look} shown=${shown} contract=${choices.contract} />`}`;
}

/** @param {any} answer */
const refusedOf = (answer) => answer.results.filter((/** @type {any} */ line) => line.outcome === "rejected" || line.outcome === "conflict");

/**
 * The first records that a mapping profile makes of the file, on the server.
 * @param {{ blob: File, name: string }} properties
 */
function MappedLook({ blob, name }) {
  const look = useLoaded(async (signal) => get(`/v1/mappings/${part(name)}/preview`, { method: "POST", body: await headOf(blob), headers: { "Content-Type": "application/octet-stream" }, signal }), [blob, name]);
  if (look.problem) return html`<${ProblemNotice} problem=${look.problem} onRetry=${look.reload} />`;
  if (!look.data) return html`<div class="card"><${Skeleton} rows=${4} height=${40} /></div>`;
  const { items, more } = look.data;
  const refused = items.filter((/** @type {any} */ item) => !item.valid).length;
  if (items.length === 0) return html`<div class="card"><${Empty} icon="import" title=${t("import.look.none")}><p>${t("import.look.none.detail")}</p><//></div>`;
  return html`<${Card} title=${t("import.look", { count: items.length })} note=${`${t("import.look.verdict", { refused, count: items.length })}${more ? ` · ${t("import.look.more")}` : ""}`} bare>
    <ul class="issues">${items.map((/** @type {any} */ item) => html`<li key=${item.line}><div class="quiet-row"><div class="look">
      <span><${Verdict} verdict=${item} /> <span class="small muted">${t("import.look.source", { line: item.line })}</span></span>
      <pre class="small" tabindex="0">${item.source}</pre>
      ${item.document ? html`<${JsonDocument} value=${item.document} remarks=${[...item.violations, ...item.warnings]} />`
        : html`<ul>${item.violations.map((/** @type {any} */ violation) => html`<li><code>${violation.pointer}</code> <${Said} of=${violation} /></li>`)}</ul>`}</div></div></li>`)}</ul><//>`;
}

/** The head of a file, up to the end of its last whole line. @param {File} blob */
async function headOf(blob) {
  if (blob.size <= HEAD_BYTES) return blob;
  const bytes = new Uint8Array(await blob.slice(0, HEAD_BYTES).arrayBuffer());
  return blob.slice(0, bytes.lastIndexOf(10) + 1 || HEAD_BYTES);
}

/** The largest file whose refused rows are mended here. */
const MENDED_BYTES = 32 * 1024 * 1024;

/** The most rows that are mended at once. */
const MENDED_ROWS = 20;

/**
 * The refused rows of a table, to be mended and sent again as part of the same import.
 * @param {{ blob: File, shown: import("../parts/records.js").Preview, choices: Choices, call: string, refused: any[], onSent: (answer: any) => void }} properties
 */
function MendRows({ blob, shown, choices, call, refused, onSent }) {
  const [drafts, setDrafts] = useState(/** @type {string[][] | null} */ (null));
  const [said, setSaid] = useState("");
  const first = refused.slice(0, MENDED_ROWS);
  const loading = useLoaded(async () => {
    if (blob.size > MENDED_BYTES) return null;
    const lines = new Set(refused.map((line) => line.line));
    return rowsAt(await blob.text(), shown.delimiter, lines);
  }, [refused]);
  const rows = first.map((line, index) => drafts?.[index] ?? loading.data?.get(line.line) ?? []);
  const sending = useAction(async () => {
    const table = [shown.header, ...rows].map((row) => row.map((cell) => cellOf(cell, shown.delimiter)).join(shown.delimiter)).join("\r\n");
    const query = { call_id: call, results: "errors", quarantine: false, on_conflict: choices.correct ? "correct" : undefined, contract: choices.contract };
    const answer = await get("/v1/mass-requests/batch", { method: "POST", query, body: `${table}\r\n`, headers: { "Content-Type": "text/csv" } });
    const again = refusedOf(answer);
    const stays = new Set(again.map((/** @type {any} */ line) => line.index));
    for (const { quarantine_id: kept } of first.filter((_, index) => !stays.has(index))) {
      if (kept) await get(`/v1/quarantine/${part(kept)}`, { method: "DELETE" });
    }
    const { accepted, correction, duplicate } = answer.totals;
    setSaid(t("import.mend.sent", { stored: accepted + correction + duplicate, count: rows.length }));
    setDrafts(again.length > 0 ? again.map((/** @type {any} */ line) => rows[line.index] ?? []) : null);
    const open = [...again.map((/** @type {any} */ line) => ({ ...first[line.index], violations: line.violations })), ...refused.slice(MENDED_ROWS)];
    onSent((/** @type {any} */ before) => merged(before, answer.totals, open));
  });
  if (loading.data === null && !loading.isLoading) return html`<p class="small muted">${t("import.mend.large")}</p>`;
  if (!loading.data) return html`<div class="card"><${Skeleton} rows=${2} height=${40} /></div>`;
  const set = (/** @type {number} */ row, /** @type {number} */ column) => (/** @type {Event} */ event) =>
    setDrafts(rows.map((cells, index) => (index === row ? shown.header.map((_, at) => (at === column ? /** @type {HTMLInputElement} */ (event.target).value : (cells[at] ?? ""))) : cells)));
  return html`<${Card} title=${t("import.mend.rows")} note=${t("import.mend.rows.note")} bare>
    ${said && html`<p class="card-body small" role="status">${said}</p>`}
    <div class="table-wrap" tabindex="0" role="region" aria-label=${t("import.mend.rows")}><table class="table mended"><thead><tr><th scope="col" class="num">${t("import.row")}</th>${shown.header.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
      <tbody>${first.map((line, row) => html`<tr key=${line.line}><td class="num">${place(line)}</td>${shown.header.map((name, column) => {
        const wrong = reasons(line).find(({ pointer }) => pointer === name || pointer === `/${name.replaceAll(".", "/")}`);
        return html`<td><input aria-label=${`${t("import.row")} ${place(line)}, ${name}`} aria-invalid=${wrong ? "true" : null} title=${wrong ? saying(wrong) : ""} size=${Math.min(40, Math.max(6, (rows[row]?.[column] ?? "").length))} value=${rows[row]?.[column] ?? ""} onInput=${set(row, column)} /></td>`;
      })}</tr>`)}</tbody></table></div>
    <div class="card-body">${refused.length > MENDED_ROWS && html`<p class="small muted">${t("import.mend.first", { count: MENDED_ROWS })}</p>`}
      <${ProblemNotice} problem=${sending.problem} />
      <div><button type="button" class="button primary" disabled=${sending.isBusy || drafts === null} onClick=${() => void sending.run()}>${t("import.mend.send", { count: rows.length })}</button></div></div>
  <//>`;
}

/**
 * Counts rows that were sent again into the answer of their import.
 * @param {any} before
 * @param {any} totals
 * @param {any[]} results
 */
function merged(before, totals, results) {
  const stored = ["accepted", "duplicate", "correction"];
  const kept = Object.fromEntries(stored.map((name) => [name, before.totals[name] + totals[name]]));
  const rejected = before.totals.rejected + before.totals.conflict - stored.reduce((sum, name) => sum + totals[name], 0);
  return { ...before, results, totals: { ...before.totals, ...kept, conflict: 0, rejected } };
}

/** @param {string} cell @param {string} delimiter */
const cellOf = (cell, delimiter) => (/["\r\n]/.test(cell) || cell.includes(delimiter) ? `"${cell.replaceAll('"', '""')}"` : cell);

/**
 * The first records, each with what the server would say to it.
 * @param {{ shown: import("../parts/records.js").Preview, contract: string }} properties
 */
function Look({ shown, contract }) {
  const records = shown.form === "csv" ? shown.rows.map((row) => documentOf(shown.header, row)) : shown.records;
  const canJudge = records.length > 0 && (shown.form !== "csv" || contract !== "");
  const verdicts = useLoaded(async (signal) => {
    if (!canJudge) return [];
    const judge = (/** @type {unknown} */ json) => get("/v1/mass-requests/validate", { method: "POST", json, query: { contract }, signal });
    return Promise.all(records.map((record) => judge(record).catch((problem) => ({ valid: false, violations: problem.document.violations ?? [{ pointer: "", detail: problem.message }], warnings: [] }))));
  }, [contract, canJudge]);
  const judged = verdicts.data ?? [];
  const refused = judged.filter((verdict) => !verdict.valid).length;
  if (records.length === 0) return html`<div class="card"><${Empty} icon="import" title=${t("import.look.none")}><p>${t("import.look.none.detail")}</p><//></div>`;
  return html`<${Card} title=${t("import.look", { count: records.length })} note=${judged.length > 0 ? t("import.look.verdict", { refused, count: judged.length }) : ""} bare>
    ${shown.form === "csv" ? html`<${Rows} shown=${shown} verdicts=${judged} />` : html`<ul class="issues">${records.map((record, index) => html`<li key=${index}><div class="quiet-row"><div>
      <${Verdict} verdict=${judged[index]} /><${JsonDocument} value=${record} remarks=${[...(judged[index]?.violations ?? []), ...(judged[index]?.warnings ?? [])]} /></div></div></li>`)}</ul>`}
  <//>`;
}

/** @param {{ verdict: any }} properties */
const Verdict = ({ verdict }) => verdict && html`<span class="badge ${verdict.valid ? "good" : "bad"}"><${Icon} name=${verdict.valid ? "check" : "cross"} />${t(verdict.valid ? "import.good" : "import.refused")}</span>`;

/** @param {{ shown: import("../parts/records.js").Preview, verdicts: any[] }} properties */
const Rows = ({ shown, verdicts }) => html`<div class="table-wrap" tabindex="0" role="region" aria-label=${t("import.rows")}><table class="table"><thead><tr><th scope="col" class="num">#</th><th scope="col">${t("verdict")}</th>${shown.header.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
  <tbody>${shown.rows.map((row, index) => html`<tr key=${index}><td class="num">${index + 1}</td><td><${Verdict} verdict=${verdicts[index]} />
    ${(verdicts[index]?.violations ?? []).slice(0, 3).map((/** @type {any} */ violation) => html`<span class="sub"><code>${violation.pointer}</code> <${Said} of=${violation} /></span>`)}</td>
    ${row.map((cell) => html`<td class="nowrap">${cell}</td>`)}</tr>`)}</tbody></table></div>`;

/** @param {{ answer: any, call: string, name: string, kept: boolean }} properties */
function Result({ answer, call, name, kept }) {
  const { totals } = answer;
  const refused = refusedOf(answer);
  const stored = totals.accepted + totals.correction;
  const [isUndoing, setUndoing] = useState(false);
  return html`
    <dl class="figures">${["read", "accepted", "duplicate", "correction", "conflict", "rejected"].map((member) => html`<${Figure} key=${member} term=${named("total", member)} value=${format.count(totals[member])} />`)}</dl>
    ${answer.error && html`<${ProblemNotice} problem=${new Problem(answer.error)} />`}
    <${Card} title=${t("import.done")} note=${html`<span class="mono">${call}</span>`}><div class="buttons">
      ${stored > 0 && html`<a class="button primary" href=${to("/requests", { call_id: call })}>${t("import.show")}</a><a class="button" href=${to("/")}>${t("overview")}</a>
        <button type="button" class="button danger" onClick=${() => setUndoing(true)}>${t("import.undo")}</button>`}
      ${refused.length > 0 && html`<button type="button" class="button" onClick=${() => handOver(new Blob([table(refused)], { type: "text/csv" }), `${name}.rejected.csv`)}><${Icon} name="download" />${t("import.refused.download")}</button>`}
    </div><//>
    ${refused.length > 0 && html`<${Card} title=${t("import.refused.rows", { count: format.count(totals.rejected + totals.conflict) })} bare><div class="table-wrap" tabindex="0" role="region" aria-label=${t("import.refused")}><table class="table"><thead><tr><th scope="col" class="num">${t("import.row")}</th><th scope="col">${t("reason")}</th><th scope="col">${t("import.mend")}</th></tr></thead>
      <tbody>${refused.slice(0, MOST).map((/** @type {any} */ line) => html`<tr><td class="num">${place(line)}</td><td>${reasons(line).map((reason) => html`<span><code>${reason.pointer}</code> <${Said} of=${reason} /><br /></span>`)}</td>
        <td>${line.quarantine_id ? html`<a href=${to(`/quarantine/${part(line.quarantine_id)}`)}>${t("import.mend")}</a>` : kept ? named("unkept", line.not_quarantined) : "–"}</td></tr>`)}</tbody></table></div><//>`}
    ${isUndoing && html`<${Undo} call=${call} onClose=${() => setUndoing(false)} />`}`;
}

/** @param {any} line */
const place = (line) => line.line ?? line.row ?? (line.index ?? 0) + 1;

/** @param {any} line @returns {{ pointer: string, code?: string, detail: string }[]} */
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
