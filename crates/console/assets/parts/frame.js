// The frame: who is logged in, where one can go, and the page that the address names.
import { get } from "../core/api.js";
import { asProblem } from "../core/loading.js";
import { place, to } from "../core/router.js";
import { can, caller, logOut } from "../core/session.js";
import { html, useEffect, useRef, useState } from "../core/view.js";
import { t } from "../core/words.js";
import { Entrance } from "./entrance.js";
import { EnrolFirst, StepUp } from "./factor.js";
import { Icon, Logo } from "./icons.js";
import { Preferences } from "./preferences.js";
import { ProblemNotice } from "./problem.js";

/**
 * @typedef {{ name: string, path: string, words: import("../core/words.js").Key, shown: () => boolean,
 *   load: () => Promise<any> }} Page
 */

/** @type {Page[]} */
const PAGES = [
  { name: "overview", path: "/", words: "overview", shown: () => can("analytics:read"), load: () => import("../pages/overview.js") },
  { name: "site", path: "/sites", words: "site", shown: () => false, load: () => import("../pages/site.js") },
  { name: "devices", path: "/devices", words: "devices", shown: () => can("analytics:read"), load: () => import("../pages/devices.js") },
  { name: "requests", path: "/requests", words: "requests", shown: () => can("mass:read"), load: () => import("../pages/requests.js") },
  { name: "import", path: "/import", words: "import", shown: () => can("mass:write"), load: () => import("../pages/import.js") },
  { name: "quarantine", path: "/quarantine", words: "quarantine", shown: () => can("mass:read"), load: () => import("../pages/quarantine.js") },
  { name: "alerts", path: "/alerts", words: "alerts", shown: () => can("alerts:read"), load: () => import("../pages/alerts.js") },
  { name: "pilot", path: "/pilot", words: "pilot", shown: () => can("analytics:read"), load: () => import("../pages/pilot.js") },
  { name: "audit", path: "/audit", words: "audit", shown: () => can("mass:read"), load: () => import("../pages/audit.js") },
  { name: "admin", path: "/admin", words: "admin", shown: () => caller.value !== null, load: () => import("../pages/admin.js") },
];

const STALE = "mass.reloaded";

/** @param {{ problem: import("../core/api.js").Problem | null }} properties */
export function App({ problem }) {
  if (problem) return html`<main class="main"><${ProblemNotice} problem=${problem} onRetry=${() => location.reload()} /></main>`;
  if (!caller.value) return html`<${Entrance} />`;
  if (caller.value.second_factor?.required && !caller.value.second_factor.enrolled) return html`<${EnrolFirst} />`;
  return html`<div class="shell">
    <a class="skip" href="#title" onClick=${skip}>${t("skip")}</a>
    <${Side} />
    <main class="main"><${Content} /></main>
    <${StepUp} />
  </div>`;
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("title")?.focus();
}

function Side() {
  const [isOpen, setOpen] = useState(false);
  const here = pageOf(place.value.parts[0] ?? "");
  useEffect(() => setOpen(false), [place.value.path]);
  return html`<div class="side" data-open=${String(isOpen)}>
    <a class="brand" href=${to("/")}><${Logo} />MASS</a>
    <button type="button" class="button plain menu-button" aria-expanded=${String(isOpen)} aria-controls="pages"
      onClick=${() => setOpen(!isOpen)}><${Icon} name=${isOpen ? "close" : "menu"} />${t("menu")}</button>
    <nav id="pages" aria-label=${t("pages")}><ul class="nav">
      ${PAGES.filter((page) => page.shown()).map((page) => html`<li key=${page.name}>
        <a href=${to(page.path)} aria-current=${page === here ? "page" : null}><${Icon} name=${page.name} />${t(page.words)}</a></li>`)}
    </ul></nav>
    <div class="side-foot">
      <span class="who" title=${caller.value?.email}>${caller.value?.email}</span>
      <span>${caller.value?.tenant_id}</span>
      <${Preferences} />
      <div class="buttons">
        <a href="docs">${t("api.docs")}</a>
        <button type="button" class="button small" onClick=${() => void logOut()}>${t("log.out")}</button>
      </div>
    </div>
  </div>`;
}

/** @param {string} name */
const pageOf = (name) => PAGES.find((page) => page.path === `/${name}`);

/** Where somebody begins who may not see the overview. */
const home = () => PAGES.find((page) => page.shown()) ?? PAGES[PAGES.length - 1];

/** Loads the page anew if the server answers, but has other files by now. */
function reloadOnce() {
  if (sessionStorage.getItem(STALE)) return;
  sessionStorage.setItem(STALE, "1");
  location.reload();
}

function Content() {
  const first = place.value.parts[0] ?? "";
  const named = pageOf(first);
  const page = first === "" && !named?.shown() ? home() : named;
  const [Shown, setShown] = useState(/** @type {{ of: Page, view: any } | null} */ (null));
  const [missing, setMissing] = useState(/** @type {import("../core/api.js").Problem | null} */ (null));
  const [round, setRound] = useState(0);
  const isFirst = useRef(true);
  useEffect(() => {
    let isCurrent = true;
    setMissing(null);
    page?.load().then(
      ({ default: view }) => {
        sessionStorage.removeItem(STALE);
        if (isCurrent) setShown({ of: page, view });
      },
      () => get("/version", { anonymous: true }).then(reloadOnce).catch((error) => isCurrent && setMissing(asProblem(error))),
    );
    return () => {
      isCurrent = false;
    };
  }, [page, round]);
  useEffect(() => {
    if (isFirst.current) isFirst.current = false;
    else {
      scrollTo(0, 0);
      document.getElementById("title")?.focus({ preventScroll: true });
    }
  }, [place.value.path, Shown?.of]);
  if (!page) return html`<div class="page"><h1 id="title" tabindex="-1">${t("nothing.here")}</h1><p><a href=${to("/")}>${t("overview")}</a></p></div>`;
  if (missing) return html`<div class="page"><h1 id="title" tabindex="-1">${t(page.words)}</h1><${ProblemNotice} problem=${missing} onRetry=${() => setRound(round + 1)} /></div>`;
  if (Shown?.of !== page) return html`<div class="page" aria-busy="true"><div class="skeleton" style=${{ height: "36px", width: "40%" }}></div></div>`;
  return html`<${Shown.view} key=${place.value.path} parts=${place.value.parts.slice(1)} query=${place.value.query} />`;
}

