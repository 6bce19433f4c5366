// Webhooks, which are told of alerts, and what they were told.
import { get, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction } from "../core/loading.js";
import { ask, to } from "../core/router.js";
import { html, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Badge, Card, Check, Dialog, Empty, Field, Segments } from "../parts/controls.js";
import { ProblemNotice, wrongAt } from "../parts/problem.js";
import { PagedTable, usePages } from "../parts/table.js";

/** @param {string} name */
const pathOf = (name) => `/v1/webhooks/${part(name)}`;

export function Webhooks() {
  const list = usePages("/v1/webhooks", {});
  const [edited, setEdited] = useState(/** @type {any} */ (null));
  const [rotated, setRotated] = useState(/** @type {any} */ (null));
  const [tested, setTested] = useState("");
  const testing = useAction(async (/** @type {string} */ name) => { setTested(""); await get(`${pathOf(name)}/test`, { method: "POST" }); setTested(name); });
  const close = () => { setEdited(null); setRotated(null); void list.reload(); };
  const button = (/** @type {any} */ row, /** @type {any} */ words, /** @type {() => void} */ onClick) => html`<button type="button" class="button small" disabled=${testing.isBusy} onClick=${onClick}>${t(words)}<span class="visually-hidden"> ${row.name}</span></button>`;
  return html`<${ProblemNotice} problem=${testing.problem} />
    ${tested && html`<div class="notice good" role="status"><p>${t("webhooks.tested", { name: tested })} <a href=${to("/alerts/notifications", { webhook: tested })}>${t("webhooks.tested.show")}</a></p></div>`}
    <${Card} title=${t("alerts.webhooks")} note=${t("webhooks.note")} bare actions=${html`<button type="button" class="button primary" onClick=${() => setEdited({ name: "", url: "", description: null, enabled: true })}>${t("webhooks.new")}</button>`}>
    <${PagedTable} list=${list} caption=${t("alerts.webhooks")} keyOf=${(/** @type {any} */ row) => row.name} empty=${html`<${Empty} icon="alerts" title=${t("webhooks.none")}><p>${t("webhooks.none.detail")}</p><//>`}
      columns=${[
        { title: t("name"), cell: (/** @type {any} */ row) => html`<strong>${row.name}</strong>${row.description && html`<span class="sub">${row.description}</span>`}` },
        { title: t("state"), cell: (/** @type {any} */ row) => html`<${Badge} name=${row.enabled ? "enabled" : "disabled"} />` },
        { title: "URL", look: "wide", cell: (/** @type {any} */ row) => html`<span class="mono small">${row.url}</span>${row.previous_secret_until && html`<span class="sub">${t("webhooks.previous", { at: format.instant(row.previous_secret_until) })}</span>`}` },
        { title: t("change"), look: "wide right", cell: (/** @type {any} */ row) => html`<div class="buttons">${button(row, "webhooks.test", () => void testing.run(row.name))}${button(row, "webhooks.rotate", () => setRotated(row))}${button(row, "change", () => setEdited(row))}</div>` },
      ]} /><//>
    ${edited && html`<${WebhookDialog} webhook=${edited} onClose=${close} />`}
    ${rotated && html`<${Rotate} name=${rotated.name} onClose=${close} />`}`;
}

/** @param {{ name: string, secret: string, onClose: () => void }} properties */
const Secret = ({ name, secret, onClose }) => html`<${Dialog} title=${t("webhooks.secret", { name })} confirm=${t("close")} onConfirm=${onClose} onClose=${onClose}>
  <p>${t("webhooks.secret.detail")}</p><pre class="mono">${secret}</pre><//>`;

/** @param {{ webhook: any, onClose: () => void }} properties */
function WebhookDialog({ webhook, onClose }) {
  const isNew = webhook.name === "";
  const [name, setName] = useState(webhook.name);
  const [url, setUrl] = useState(webhook.url);
  const [description, setDescription] = useState(webhook.description ?? "");
  const [isEnabled, setEnabled] = useState(webhook.enabled);
  const [secret, setSecret] = useState("");
  // Another change meanwhile is told (412), and not overwritten.
  /** @type {Record<string, string>} */
  const guard = isNew ? { "If-None-Match": "*" } : { "If-Match": `"${webhook.digest}"` };
  const saving = useAction(async () => {
    const stored = await get(pathOf(name), { method: "PUT", json: { url: url.trim(), description: description.trim() || null, enabled: isEnabled }, headers: guard });
    if (stored.secret) setSecret(stored.secret);
    else onClose();
  });
  const deleting = useAction(async () => { await get(pathOf(name), { method: "DELETE", headers: guard }); onClose(); });
  if (secret) return html`<${Secret} name=${name} secret=${secret} onClose=${onClose} />`;
  return html`<${Dialog} title=${isNew ? t("webhooks.new") : webhook.name} confirm=${t("save")} isBusy=${saving.isBusy} onConfirm=${() => void saving.run()} onClose=${onClose}>
    <${ProblemNotice} problem=${saving.problem ?? deleting.problem} without=${["/url", "/description"]} />
    ${isNew && html`<${Field} label=${t("name")} required pattern="[A-Za-z0-9._\\-]{1,64}" hint=${t("name.hint")} value=${name} set=${setName} />`}
    <${Field} label="URL" type="url" required maxlength="2000" hint=${t("webhooks.url.hint")} value=${url} set=${setUrl} wrong=${wrongAt(saving.problem, "/url")} />
    <${Field} label=${t("description")} maxlength="1000" value=${description} set=${setDescription} wrong=${wrongAt(saving.problem, "/description")} />
    <${Check} label=${t("webhooks.enabled")} value=${isEnabled} set=${setEnabled} />
    ${!isNew && html`<div><button type="button" class="button danger small" disabled=${deleting.isBusy} onClick=${() => void deleting.run()}>${t("webhooks.delete")}</button></div>`}<//>`;
}

/** @param {{ name: string, onClose: () => void }} properties */
function Rotate({ name, onClose }) {
  const [secret, setSecret] = useState("");
  const rotating = useAction(async () => setSecret((await get(`${pathOf(name)}/secret`, { method: "POST" })).secret));
  if (secret) return html`<${Secret} name=${name} secret=${secret} onClose=${onClose} />`;
  return html`<${Dialog} title=${t("webhooks.rotate.of", { name })} confirm=${t("webhooks.rotate")} isBusy=${rotating.isBusy} onConfirm=${() => void rotating.run()} onClose=${onClose}>
    <p>${t("webhooks.rotate.detail")}</p><${ProblemNotice} problem=${rotating.problem} /><//>`;
}

const STATES = ["queued", "delivered", "dead"];

/** @param {{ query: Record<string, string> }} properties */
export function Notifications({ query }) {
  const list = usePages("/v1/notifications", { state: query.state, webhook: query.webhook, limit: 50 });
  const replaying = useAction(async (/** @type {string} */ id) => { await get(`/v1/notifications/${part(id)}/replay`, { method: "POST" }); await list.reload(); });
  return html`<${ProblemNotice} problem=${replaying.problem} />
    ${query.webhook && html`<div class="notice"><p>${t("notifications.of")} <span class="mono">${query.webhook}</span> <button type="button" class="button small" onClick=${() => ask({ webhook: null })}>${t("filters.none")}</button></p></div>`}
    <${Segments} label=${t("state")} value=${query.state ?? ""} set=${(/** @type {string} */ state) => ask({ state })} options=${[["", t("all")], ...STATES.map((name) => [name, named("state", name)])]} />
    <${Card} bare><${PagedTable} list=${list} caption=${t("alerts.notifications")} keyOf=${(/** @type {any} */ row) => row.id} empty=${html`<${Empty} icon="check" title=${t("notifications.none")}><p>${t("notifications.none.detail")}</p><//>`}
      columns=${[
        { title: t("notification"), cell: (/** @type {any} */ row) => html`${named("news", row.type)}<span class="sub">${row.webhook}</span>` },
        { title: t("state"), cell: (/** @type {any} */ row) => html`<${Badge} name=${row.state} />` },
        { title: t("attempts"), look: "num", label: t("attempts"), cell: (/** @type {any} */ row) => format.count(row.attempts) },
        { title: t("updated"), look: "nowrap", cell: (/** @type {any} */ row) => html`<span title=${format.exactInstant(row.updated_at)}>${format.ago(row.updated_at)}</span>` },
        { title: t("detail"), look: "wide", cell: (/** @type {any} */ row) => html`<span lang="en">${row.failure ?? ""}</span>` },
        { title: t("change"), look: "right", cell: (/** @type {any} */ row) => row.state === "dead" && html`<button type="button" class="button small" disabled=${replaying.isBusy} onClick=${() => void replaying.run(row.id)}>${t("replay")}<span class="visually-hidden"> ${named("news", row.type)}, ${row.webhook}</span></button>` },
      ]} /><//>`;
}
