// The rules by which alerts are opened: each watches one condition.
import { get, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction } from "../core/loading.js";
import { can } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Badge, Card, Check, Dialog, Empty, Field } from "../parts/controls.js";
import { ProblemNotice, wrongAt } from "../parts/problem.js";
import { PagedTable, usePages } from "../parts/table.js";
import { CONDITIONS, MONTH, WEEK, isText } from "./conditions.js";

/** @typedef {import("./conditions.js").Member} Member */

export const SEVERITIES = ["info", "warning", "critical"];

/** The first conditions are set by whoever manages alerts; the others tell of the audit trail. */
const ORDINARY = 4;

export function Rules() {
  const list = usePages("/v1/alert-rules", { limit: 50 });
  const [edited, setEdited] = useState(/** @type {any} */ (null));
  const mayChange = can("alerts:manage");
  const columns = [
    { title: t("name"), cell: (/** @type {any} */ row) => html`<strong>${row.name}</strong>${row.rule.description && html`<span class="sub">${row.rule.description}</span>`}` },
    { title: t("state"), cell: (/** @type {any} */ row) => html`<${Badge} name=${row.rule.enabled ? "enabled" : "disabled"} />` },
    { title: t("condition"), cell: (/** @type {any} */ row) => html`${named("condition", row.rule.condition.kind)}<span class="sub">${membersOf(row.rule.condition)}</span>
      ${row.problem && html`<span class="sub"><strong>${t("rules.problem")}</strong> <span lang="en">${row.problem}</span></span>`}` },
    { title: t("severity"), cell: (/** @type {any} */ row) => html`<${Badge} name=${row.rule.severity} />` },
    { title: t("alerts.webhooks"), cell: (/** @type {any} */ row) => row.rule.webhooks.join(", ") || html`<span class="muted">–</span>` },
    { title: t("change"), look: "right", cell: (/** @type {any} */ row) => mayChange && isAllowed(row.rule.condition.kind) && html`<button type="button" class="button small" onClick=${() => setEdited(row)}>${t("change")}<span class="visually-hidden"> ${row.name}</span></button>` },
  ];
  return html`<${Card} title=${t("alerts.rules")} note=${t("rules.note")} bare actions=${mayChange && html`<button type="button" class="button primary" onClick=${() => setEdited({ name: "", rule: FIRST })}>${t("rules.new")}</button>`}>
    <${PagedTable} list=${list} caption=${t("alerts.rules")} keyOf=${(/** @type {any} */ row) => row.name} columns=${columns}
      empty=${html`<${Empty} icon="alerts" title=${t("rules.none")}><p>${t("rules.none.detail")}</p><//>`} /><//>
    ${edited && html`<${RuleDialog} stored=${edited} onClose=${() => { setEdited(null); void list.reload(); }} />`}`;
}

const FIRST = { condition: { kind: "device_silent" }, severity: "warning", enabled: true, for_seconds: 0, repeat_seconds: 0, webhooks: [], description: null };

/** @param {string} kind */
const isAllowed = (kind) => can("audit:read") || Object.keys(CONDITIONS).indexOf(kind) < ORDINARY;

/** Writes the members of a condition in a line. @param {any} condition */
const membersOf = (condition) => (CONDITIONS[condition.kind] ?? []).filter(({ name }) => condition[name] !== null && condition[name] !== undefined)
  .map(({ name }) => `${t(/** @type {any} */ (`member.${name}`))}: ${name === "metric" ? named("metric", condition.metric) : typeof condition[name] === "number" ? format.number(condition[name]) : condition[name]}`).join(" · ");

/** @param {{ stored: any, onClose: () => void }} properties */
function RuleDialog({ stored, onClose }) {
  const isNew = stored.name === "";
  const { rule } = stored;
  const [name, setName] = useState(stored.name);
  const [draft, setDraft] = useState(/** @type {Record<string, string>} */ ({
    kind: rule.condition.kind, severity: rule.severity, for_seconds: String(rule.for_seconds), repeat_seconds: String(rule.repeat_seconds),
    webhooks: rule.webhooks.join(", "), description: rule.description ?? "",
    ...Object.fromEntries(Object.entries(rule.condition).filter(([, value]) => value !== null).map(([member, value]) => [member, String(value)])),
  }));
  const [isEnabled, setEnabled] = useState(rule.enabled);
  const set = (/** @type {string} */ member) => (/** @type {string} */ value) => setDraft({ ...draft, [member]: value });
  const members = CONDITIONS[draft.kind ?? ""] ?? [];
  const textOf = (/** @type {Member} */ member) => draft[member.name] ?? member.first ?? "";
  const path = `/v1/alert-rules/${part(name)}`;
  // Another change meanwhile is told (412), and not overwritten.
  /** @type {Record<string, string>} */
  const guard = isNew ? { "If-None-Match": "*" } : { "If-Match": `"${stored.digest}"` };
  const saving = useAction(async () => {
    const given = members.map((member) => /** @type {[string, string | number]} */ ([member.name, isText(member) ? textOf(member).trim() : textOf(member) === "" ? "" : Number(textOf(member))])).filter(([, value]) => value !== "");
    const json = {
      condition: { kind: draft.kind, ...Object.fromEntries(given) }, severity: draft.severity, enabled: isEnabled, description: draft.description?.trim() || null,
      for_seconds: Number(draft.for_seconds || 0), repeat_seconds: Number(draft.repeat_seconds || 0), webhooks: (draft.webhooks ?? "").split(",").map((one) => one.trim()).filter(Boolean),
    };
    await get(path, { method: "PUT", json, headers: guard });
    onClose();
  });
  const deleting = useAction(async () => { await get(path, { method: "DELETE", headers: guard }); onClose(); });
  const shown = ["/for_seconds", "/repeat_seconds", "/description", ...members.map((member) => `/condition/${member.name}`)];
  const seconds = (/** @type {string} */ member, /** @type {any} */ words, /** @type {number} */ most) => html`<${Field} label=${t(words)} hint=${t(/** @type {any} */ (`${words}.hint`))} type="number" min="0" max=${most} value=${draft[member]} set=${set(member)} wrong=${wrongAt(saving.problem, `/${member}`)} />`;
  return html`<${Dialog} title=${isNew ? t("rules.new") : stored.name} confirm=${t("save")} isBusy=${saving.isBusy} onConfirm=${() => void saving.run()} onClose=${onClose}>
    ${isNew && html`<${Field} label=${t("name")} required pattern="[A-Za-z0-9._\\-]{1,64}" hint=${t("name.hint")} value=${name} set=${setName} />`}
    <${Field} label=${t("condition")} value=${draft.kind} set=${set("kind")} options=${Object.keys(CONDITIONS).filter(isAllowed).map((kind) => [kind, named("condition", kind)])} hint=${named("condition.detail", draft.kind)} />
    <div class="filters">${members.map((member) => html`<${Field} key=${`${draft.kind} ${member.name}`} label=${t(/** @type {any} */ (`member.${member.name}`))} type=${isText(member) ? "text" : "number"} required=${member.required ?? false}
      min=${member.min} max=${member.max} step=${member.step} pattern=${member.pattern} maxlength=${isText(member) ? 200 : null} placeholder=${member.name.endsWith("_id") ? t("all") : null}
      value=${textOf(member)} set=${set(member.name)} wrong=${wrongAt(saving.problem, `/condition/${member.name}`)} />`)}</div>
    <${Field} label=${t("severity")} value=${draft.severity} set=${set("severity")} options=${SEVERITIES.map((one) => [one, named("state", one)])} />
    <div class="filters">${seconds("for_seconds", "rules.for", WEEK)}${seconds("repeat_seconds", "rules.repeat", MONTH)}</div>
    <${Field} label=${t("alerts.webhooks")} hint=${t("rules.webhooks.hint")} value=${draft.webhooks} set=${set("webhooks")} />
    <${Field} label=${t("description")} maxlength="1000" value=${draft.description} set=${set("description")} wrong=${wrongAt(saving.problem, "/description")} />
    <${Check} label=${t("rules.enabled")} value=${isEnabled} set=${setEnabled} />
    <${ProblemNotice} problem=${saving.problem ?? deleting.problem} without=${shown} />
    ${!isNew && html`<div><button type="button" class="button danger small" disabled=${deleting.isBusy} onClick=${() => void deleting.run()}>${t("rules.delete")}</button></div>`}<//>`;
}
