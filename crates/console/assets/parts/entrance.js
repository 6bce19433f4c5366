// Logging in.
import { logIn, expired } from "../core/session.js";
import { useAction } from "../core/loading.js";
import { html, useEffect, useState } from "../core/view.js";
import { t } from "../core/words.js";
import { Field } from "./controls.js";
import { Preferences } from "./preferences.js";
import { Logo } from "./icons.js";
import { ProblemNotice } from "./problem.js";

export function Entrance() {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [asksCode, setAsksCode] = useState(false);
  const entering = useAction(() => logIn(email.trim(), password, asksCode ? code.trim() : undefined));
  const needsCode = entering.problem?.kind === "second-factor-code-required";
  useEffect(() => {
    if (needsCode) setAsksCode(true);
  }, [needsCode]);
  useEffect(() => {
    document.title = `${t("log.in")} · MASS`;
  });
  const isWrong = entering.problem?.kind === "invalid-credentials";
  const wait = entering.problem?.kind === "too-many-attempts" ? entering.problem.document.retry_after_seconds : undefined;
  return html`<main class="entrance">
    <form class="entrance-card" onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      void entering.run();
    }}>
      <span class="brand"><${Logo} />MASS</span>
      <h1>${t("log.in")}</h1>
      ${expired.value && !entering.problem && html`<div class="notice warn" role="status">${t("session.ended")}</div>`}
      ${isWrong && html`<div class="notice bad" role="alert">${t("log.in.wrong")}</div>`}
      ${wait !== undefined && html`<div class="notice warn" role="alert"><strong>${t("log.in.wait", { seconds: wait })}</strong>
        <p>${t("log.in.wait.detail")}</p></div>`}
      ${needsCode && asksCode && code && html`<div class="notice bad" role="alert">${t("factor.code.wrong")}</div>`}
      ${!isWrong && !needsCode && wait === undefined && html`<${ProblemNotice} problem=${entering.problem} />`}
      <${Field} label=${t("email")} type="email" value=${email} set=${setEmail} required autocomplete="username" autofocus />
      <${Field} label=${t("password")} type="password" value=${password} set=${setPassword} required
        autocomplete="current-password" />
      ${asksCode && html`<${Field} label=${t("factor.code")} hint=${t("factor.code.hint")} value=${code} set=${setCode} required minlength="6"
        maxlength="64" autocomplete="one-time-code" autofocus />`}
      <button class="button primary" disabled=${entering.isBusy}>${t("log.in")}</button>
      <p class="small muted">${t("log.in.first")}</p>
    </form>
    <div class="entrance-foot"><${Preferences} /><a href="docs">${t("api.docs")}</a></div>
  </main>`;
}
