// Administration: one tab for each thing that the caller may administer.
import { to } from "../core/router.js";
import { can } from "../core/session.js";
import { html, useEffect } from "../core/view.js";
import { t } from "../core/words.js";
import { PageHead } from "../parts/controls.js";
import { Account, Keys, Users } from "./accounts.js";
import { Deliveries, Mappings, Settings, Usage } from "./tenant.js";
import { Tenants } from "./tenants.js";

/** @type {{ name: string, words: import("../core/words.js").Key, shown: () => boolean, view: any }[]} */
const TABS = [
  { name: "account", words: "admin.account", shown: () => true, view: Account },
  { name: "users", words: "admin.users", shown: () => can("users:manage"), view: Users },
  { name: "keys", words: "admin.keys", shown: () => can("keys:manage"), view: Keys },
  { name: "usage", words: "admin.usage", shown: () => can("settings:manage"), view: Usage },
  { name: "settings", words: "admin.settings", shown: () => can("settings:manage"), view: Settings },
  { name: "mappings", words: "admin.mappings", shown: () => can("mass:read"), view: Mappings },
  { name: "deliveries", words: "admin.deliveries", shown: () => can("deliveries:manage"), view: Deliveries },
  { name: "tenants", words: "admin.tenants", shown: () => can("tenants:manage"), view: Tenants },
];

/** @param {{ parts: string[], query: Record<string, string> }} properties */
export default function Admin({ parts, query }) {
  const shown = TABS.filter((tab) => tab.shown());
  const tab = shown.find(({ name }) => name === parts[0]) ?? shown[0];
  // On a narrow screen, the tab may be beyond the edge.
  useEffect(() => document.querySelector(".tabs [aria-current=page]")?.scrollIntoView({ block: "nearest", inline: "center" }), [tab]);
  return html`<div class="page"><${PageHead} title=${t("admin")} />
    <nav class="tabs" aria-label=${t("admin")}>${shown.map(({ name, words }) => html`<a key=${name} href=${to(`/admin/${name}`)} aria-current=${tab?.name === name ? "page" : null}>${t(words)}</a>`)}</nav>
    ${tab && html`<${tab.view} query=${query} />`}
  </div>`;
}
