// The second factor: enrolled, proved anew, and removed.
import { get } from "../core/api.js";
import { useAction, useLoaded } from "../core/loading.js";
import { awaited, logOut, readCaller } from "../core/session.js";
import { html, useState } from "../core/view.js";
import { t } from "../core/words.js";
import { Card, Dialog, Field } from "./controls.js";
import { ProblemNotice, wrongAt } from "./problem.js";

const FACTOR = "/v1/auth/second-factor";

/** Asks for a code that a call waits for. */
export function StepUp() {
  const [code, setCode] = useState("");
  /** @param {boolean} isProved */
  const finish = (isProved) => {
    const tell = awaited.value;
    awaited.value = null;
    setCode("");
    tell?.(isProved);
  };
  const proving = useAction(async () => {
    await get(`${FACTOR}/prove`, { method: "POST", json: { code: code.trim() } });
    finish(true);
  });
  if (!awaited.value) return null;
  return html`<${Dialog} title=${t("factor.prove")} confirm=${t("go.on")} isBusy=${proving.isBusy} onConfirm=${() => void proving.run()} onClose=${() => finish(false)}>
    <p>${t("factor.prove.detail")}</p>
    <${ProblemNotice} problem=${proving.problem} without=${["/code"]} />
    <${Field} label=${t("factor.code")} hint=${t("factor.code.hint")} required minlength="6" maxlength="64" autocomplete="one-time-code" autofocus
      value=${code} set=${setCode} wrong=${wrongAt(proving.problem, "/code")} /><//>`;
}

/** What somebody sees who has to enrol a second factor before anything else. */
export function EnrolFirst() {
  return html`<main class="main"><div class="page"><h1 id="title" tabindex="-1">${t("factor")}</h1>
    <div class="notice warn" role="status">${t("factor.demanded")}</div>
    <${SecondFactor} />
    <div><button type="button" class="button" onClick=${() => void logOut()}>${t("log.out")}</button></div></div></main>`;
}

/** @param {string} method @param {string} path @param {unknown} [json] */
const send = (method, path, json) => get(FACTOR + path, { method, ...(json ? { json } : {}) });

/** The key as a QR code, drawn by what only this page loads. @param {{ text: string }} properties */
function Picture({ text }) {
  const { data } = useLoaded(() => import("./qr.js"), []);
  return data ? html`<${data.QrCode} text=${text} label=${t("factor.qr")} />` : html`<span class="skeleton qr"></span>`;
}

/** The second factor of the user: enrolling it, and what can be done with it. */
export function SecondFactor() {
  const state = useLoaded((signal) => get(FACTOR, { signal }), []);
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [seed, setSeed] = useState(/** @type {{ secret: string, uri: string } | null} */ (null));
  const [codes, setCodes] = useState(/** @type {string[] | null} */ (null));
  const beginning = useAction(async () => {
    setSeed(await send("POST", "", { password }));
    setPassword("");
  });
  const confirming = useAction(async () => {
    setCodes((await send("POST", "/confirm", { code: code.trim() })).recovery_codes);
    setSeed(null);
    setCode("");
  });
  const replacing = useAction(async () => setCodes((await send("POST", "/recovery-codes")).recovery_codes));
  const removing = useAction(async () => {
    await send("DELETE", "");
    await readCaller();
    state.reload();
  });
  const kept = async () => {
    setCodes(null);
    state.reload();
    await readCaller();
  };
  const isEnrolled = state.data?.enrolled === true;
  return html`<${Card} title=${t("factor")} note=${t("factor.note")}>
    <${ProblemNotice} problem=${state.problem ?? replacing.problem ?? removing.problem} />
    ${isEnrolled && !codes && html`<p>${t("factor.on", { count: state.data.recovery_codes })}</p><div class="buttons">
      <button type="button" class="button" disabled=${replacing.isBusy} onClick=${() => void replacing.run()}>${t("factor.codes.new")}</button>
      <button type="button" class="button danger" disabled=${removing.isBusy} onClick=${() => void removing.run()}>${t("factor.remove")}</button></div>`}
    ${state.data && !isEnrolled && !seed && !codes && html`<form class="form" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); void beginning.run(); }}>
      <${ProblemNotice} problem=${beginning.problem} without=${["/password"]} />
      <${Field} label=${t("admin.password.now")} type="password" autocomplete="current-password" required value=${password} set=${setPassword} wrong=${wrongAt(beginning.problem, "/password")} />
      <div><button class="button primary" disabled=${beginning.isBusy}>${t("factor.begin")}</button></div></form>`}
    ${seed && html`<form class="form" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); void confirming.run(); }}>
      <p>${t("factor.seed")}</p>
      <div class="seed"><${Picture} text=${seed.uri} /><div><pre class="mono">${seed.secret.replace(/(.{4})(?=.)/g, "$1 ")}</pre><p><a href=${seed.uri}>${t("factor.open")}</a></p></div></div>
      <${ProblemNotice} problem=${confirming.problem} without=${["/code"]} />
      <${Field} label=${t("factor.code")} required minlength="6" maxlength="64" autocomplete="one-time-code" value=${code} set=${setCode} wrong=${wrongAt(confirming.problem, "/code")} />
      <div><button class="button primary" disabled=${confirming.isBusy}>${t("factor.confirm")}</button></div></form>`}
    ${codes && html`<div role="status"><p>${t("factor.codes")}</p><pre class="mono">${codes.join("\n")}</pre>
      <div><button type="button" class="button primary" onClick=${() => void kept()}>${t("factor.codes.kept")}</button></div></div>`}<//>`;
}
