// Accounts: one's own password and session, the users, and the keys of gateways.
import { get, part } from "../core/api.js";
import * as format from "../core/format.js";
import { useAction } from "../core/loading.js";
import { can, caller, logOut } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { named, t } from "../core/words.js";
import { Badge, Card, Check, Dialog, Empty, Fact, Field } from "../parts/controls.js";
import { SecondFactor } from "../parts/factor.js";
import { ProblemNotice, wrongAt } from "../parts/problem.js";
import { PagedTable, usePages } from "../parts/table.js";

const ROLES = ["viewer", "operator", "auditor", "admin"];
const PERMISSIONS = ["mass:read", "mass:write", "analytics:read", "audit:read", "users:manage", "keys:manage", "settings:manage", "deliveries:manage", "savings:manage", "metrics:read"];
/** What everybody who manages keys may grant: the permissions of an operator. */
const ORDINARY = ["mass:read", "mass:write", "analytics:read", "deliveries:manage", "savings:manage"];

/** Where the user is logged in, with what ends it there. */
function Sessions() {
  const list = usePages("/v1/auth/sessions", { limit: 50 });
  const ending = useAction(async (/** @type {string[]} */ ids) => {
    for (const id of ids) await get(`/v1/auth/sessions/${part(id)}`, { method: "DELETE" });
    await list.reload();
  });
  const others = list.rows.filter((row) => !row.current).map((row) => row.id);
  return html`<${Card} title=${t("sessions")} note=${t("sessions.note")} bare actions=${others.length > 0 && html`<button type="button" class="button danger" disabled=${ending.isBusy} onClick=${() => void ending.run(others)}>${t("sessions.end.others")}</button>`}>
    ${ending.problem && html`<div class="card-body"><${ProblemNotice} problem=${ending.problem} /></div>`}
    <${PagedTable} list=${list} caption=${t("sessions")} keyOf=${(/** @type {any} */ row) => row.id} empty=${html`<${Empty} icon="admin" title=${t("nothing.here")} />`}
      columns=${[
        { title: t("sessions.began"), look: "nowrap", cell: (/** @type {any} */ row) => format.instant(row.created_at) },
        { title: t("sessions.refreshed"), label: t("sessions.refreshed"), look: "wide num", cell: (/** @type {any} */ row) => format.ago(row.refreshed_at) },
        { title: t("expires"), label: t("expires"), look: "nowrap num", cell: (/** @type {any} */ row) => format.ago(row.expires_at) },
        { title: t("change"), look: "right", cell: (/** @type {any} */ row) => (row.current ? html`<${Badge} name="active" words=${t("sessions.current")} />`
          : html`<button type="button" class="button small" disabled=${ending.isBusy} onClick=${() => void ending.run([row.id])}>${t("sessions.end")}<span class="visually-hidden"> ${format.instant(row.created_at)}</span></button>`) },
      ]} /><//>`;
}

export function Account() {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [isDone, setDone] = useState(false);
  const changing = useAction(async () => {
    await get("/v1/auth/password", { method: "POST", json: { current_password: current, new_password: next } });
    setCurrent("");
    setNext("");
    setDone(true);
  });
  return html`<div class="grid-2">
    <${Card} title=${t("admin.session")}><dl class="facts">
      <${Fact} term=${t("email")}>${caller.value?.email}<//><${Fact} term=${t("tenant")}>${caller.value?.tenant_id}<//>
      <${Fact} term=${t("roles")}>${caller.value?.roles.map((role) => named("role", role)).join(", ")}<//></dl>
      <p class="small muted">${t("admin.session.detail")}</p>
      <div><button type="button" class="button" onClick=${() => void logOut()}>${t("log.out")}</button></div><//>
    <${Card} title=${t("admin.password")} note=${t("admin.password.note")}><form class="form" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); setDone(false); void changing.run(); }}>
      <${ProblemNotice} problem=${changing.problem} without=${["/current_password", "/new_password"]} />
      ${isDone && html`<div class="notice good" role="status">${t("admin.password.done")}</div>`}
      <${Field} label=${t("admin.password.now")} type="password" autocomplete="current-password" required value=${current} set=${setCurrent} wrong=${wrongAt(changing.problem, "/current_password")} />
      <${Field} label=${t("admin.password.next")} type="password" autocomplete="new-password" required minlength="15" value=${next} set=${setNext} hint=${t("admin.password.hint")} wrong=${wrongAt(changing.problem, "/new_password")} />
      <div><button class="button primary" disabled=${changing.isBusy}>${t("admin.password.change")}</button></div>
    </form><//></div>
    <${SecondFactor} />
    <${Sessions} />`;
}

export function Users() {
  const list = usePages("/v1/admin/users", { limit: 50 });
  const [edited, setEdited] = useState(/** @type {any} */ (null));
  const close = () => { setEdited(null); void list.reload(); };
  return html`<${Card} title=${t("admin.users")} bare actions=${html`<button type="button" class="button primary" onClick=${() => setEdited({ roles: ["viewer"] })}>${t("admin.users.new")}</button>`}>
    <${PagedTable} list=${list} caption=${t("admin.users")} keyOf=${(/** @type {any} */ row) => row.id} empty=${html`<${Empty} icon="admin" title=${t("admin.users.none")} />`}
      columns=${[
        { title: t("email"), cell: (/** @type {any} */ row) => row.email },
        { title: t("state"), cell: (/** @type {any} */ row) => html`<${Badge} name=${row.disabled_at ? "disabled" : "enabled"} />` },
        { title: t("roles"), cell: (/** @type {any} */ row) => row.roles.map((/** @type {string} */ role) => named("role", role)).join(", ") },
        { title: t("created"), look: "nowrap", cell: (/** @type {any} */ row) => format.day(row.created_at) },
        { title: t("change"), look: "right", cell: (/** @type {any} */ row) => html`<button type="button" class="button small" onClick=${() => setEdited(row)}>${t("change")}<span class="visually-hidden"> ${row.email}</span></button>` },
      ]} /><//>
    ${edited && html`<${UserDialog} user=${edited} onClose=${close} />`}`;
}

/** @param {{ user: any, onClose: () => void }} properties */
function UserDialog({ user, onClose }) {
  const [email, setEmail] = useState("");
  const [roles, setRoles] = useState(/** @type {string[]} */ (user.roles));
  const [isDisabled, setDisabled] = useState(Boolean(user.disabled_at));
  const [password, setPassword] = useState("");
  const saving = useAction(async () => {
    if (user.id) {
      await get(`/v1/admin/users/${part(user.id)}`, { method: "PATCH", json: { roles, disabled: isDisabled } });
      onClose();
    } else setPassword((await get("/v1/admin/users", { method: "POST", json: { email, roles } })).password);
  });
  if (password) return html`<${Dialog} title=${t("admin.users.made")} confirm=${t("close")} onConfirm=${onClose} onClose=${onClose}><p>${t("admin.users.password")}</p><pre class="mono">${password}</pre><//>`;
  return html`<${Dialog} title=${user.email ?? t("admin.users.new")} confirm=${t("save")} isBusy=${saving.isBusy || roles.length === 0} onConfirm=${() => void saving.run()} onClose=${onClose}>
    <${ProblemNotice} problem=${saving.problem} without=${["/email"]} />
    ${!user.id && html`<${Field} label=${t("email")} type="email" required value=${email} set=${setEmail} wrong=${wrongAt(saving.problem, "/email")} />`}
    <fieldset class="field"><legend>${t("roles")}</legend>${[...new Set([...ROLES, ...user.roles])].map((role) => html`<${Check} key=${role} label=${html`${named("role", role)} <span class="small muted">${named("role.detail", role)}</span>`}
      value=${roles.includes(role)} set=${(/** @type {boolean} */ on) => setRoles(on ? [...roles, role] : roles.filter((one) => one !== role))} />`)}</fieldset>
    ${user.id && html`<${Check} label=${t("admin.users.disabled")} value=${isDisabled} set=${setDisabled} />`}<//>`;
}

/** @param {any} key */
const stateOfKey = (key) => (key.revoked_at ? "revoked" : key.expires_at && Date.parse(key.expires_at) < Date.now() ? "expired" : "active");

export function Keys() {
  const list = usePages("/v1/admin/api-keys", { limit: 50 });
  const [asked, setAsked] = useState(/** @type {any} */ (null));
  const close = () => { setAsked(null); void list.reload(); };
  const revoking = useAction(async () => { await get(`/v1/admin/api-keys/${part(asked.id)}`, { method: "DELETE" }); close(); });
  return html`<${Card} title=${t("admin.keys")} note=${t("admin.keys.note")} bare actions=${html`<button type="button" class="button primary" onClick=${() => setAsked({})}>${t("admin.keys.new")}</button>`}>
    <${PagedTable} list=${list} caption=${t("admin.keys")} keyOf=${(/** @type {any} */ row) => row.id} empty=${html`<${Empty} icon="admin" title=${t("admin.keys.none")}><p>${t("admin.keys.none.detail")}</p><//>`}
      columns=${[
        { title: t("name"), cell: (/** @type {any} */ row) => html`${row.name}<span class="sub mono">${row.prefix}…</span>` },
        { title: t("state"), cell: (/** @type {any} */ row) => html`<${Badge} name=${stateOfKey(row)} />` },
        { title: t("permissions"), cell: (/** @type {any} */ row) => html`<span class="mono small">${row.permissions.join(", ")}</span>` },
        { title: t("last.used"), cell: (/** @type {any} */ row) => format.ago(row.last_used_at) },
        { title: t("expires"), cell: (/** @type {any} */ row) => format.day(row.expires_at) },
        { title: t("change"), look: "right", cell: (/** @type {any} */ row) => !row.revoked_at && html`<button type="button" class="button small danger" onClick=${() => setAsked(row)}>${t("revoke")}<span class="visually-hidden"> ${row.name}</span></button>` },
      ]} /><//>
    ${asked && !asked.id && html`<${KeyDialog} onClose=${close} />`}
    ${asked?.id && html`<${Dialog} title=${t("admin.keys.revoke", { name: asked.name })} danger confirm=${t("revoke")} isBusy=${revoking.isBusy} onConfirm=${() => void revoking.run()} onClose=${close}>
      <p>${t("admin.keys.revoke.detail")}</p><${ProblemNotice} problem=${revoking.problem} /><//>`}`;
}

/** @param {{ onClose: () => void }} properties */
function KeyDialog({ onClose }) {
  const [name, setName] = useState("");
  const [until, setUntil] = useState("");
  const [permissions, setPermissions] = useState(["mass:write"]);
  const [token, setToken] = useState("");
  const making = useAction(async () => {
    const json = { name, permissions, ...(until ? { expires_at: new Date(`${until}T23:59:59`).toISOString() } : {}) };
    setToken((await get("/v1/admin/api-keys", { method: "POST", json })).token);
  });
  if (token) return html`<${Dialog} title=${t("admin.keys.made")} confirm=${t("close")} onConfirm=${onClose} onClose=${onClose}><p>${t("admin.keys.once")}</p><pre class="mono">${token}</pre><//>`;
  return html`<${Dialog} title=${t("admin.keys.new")} confirm=${t("create")} isBusy=${making.isBusy || permissions.length === 0} onConfirm=${() => void making.run()} onClose=${onClose}>
    <${ProblemNotice} problem=${making.problem} without=${["/name"]} />
    <${Field} label=${t("name")} required value=${name} set=${setName} wrong=${wrongAt(making.problem, "/name")} />
    <${Field} label=${t("admin.keys.until")} type="date" value=${until} set=${setUntil} />
    <fieldset class="field"><legend>${t("permissions")}</legend>${PERMISSIONS.filter((one) => can(one) || ORDINARY.includes(one)).map((one) => html`<${Check} key=${one} label=${html`<span class="mono">${one}</span>`} value=${permissions.includes(one)}
      set=${(/** @type {boolean} */ on) => setPermissions(on ? [...permissions, one] : permissions.filter((other) => other !== one))} />`)}</fieldset><//>`;
}
