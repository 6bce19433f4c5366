// Goes through the console in a real Chromium as its users do: in both languages, both themes, on a wide and a narrow screen.
// Needs a running server (scripts/with-server) and CHROMIUM, the browser's path. VARIANTS names what each run looks like
// (`es-1280-light,en-390-dark`); SCREENSHOTS, a folder, is optional.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { CONDITIONS, isText } from "../../crates/console/assets/pages/conditions.js";
import { trace } from "../../crates/console/assets/parts/tiles.js";
import { MASS_EMAIL, MASS_PASSWORD, MASS_TOKEN, MASS_URL, PATIENCE, browser, logIn, look, open, visit, words } from "./visitor.mjs";

const { VARIANTS = "es-1280-light,en-390-dark" } = process.env;
const [FIRST] = VARIANTS.split(",");

const HOUR = 3_600_000;
const SITE = "madrid-1";
const PILOT_SITE = "getafe-1";

/** The ids of what `sendPilots` has made. */
const pilots = {};

before(send);

after(() => browser.close());

/** Calls an operation as the administrator, and returns its JSON. */
async function call(path, { method = "POST", body, type = "application/json" } = {}) {
  const headers = { Authorization: `Bearer ${MASS_TOKEN}`, Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": type }) };
  const answer = await fetch(`${MASS_URL}${path}`, { method, headers, body });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** Sends two days of a small site, two records that are refused, and pilots. */
async function send() {
  const begin = Math.floor(Date.now() / HOUR) * HOUR - 48 * HOUR;
  const lines = Array.from({ length: 49 }, (_, index) => ({
    mass_version: "2.0",
    timestamp: new Date(begin + index * HOUR).toISOString().replace(".000", ""),
    device: { id: "meter-1", type: "meter", location: "Sala 1", site_id: SITE },
    metrics: { facility_power_kw: 400 + 10 * (index % 7), it_power_kw: 300 + 5 * (index % 5), temperature_celsius: 20 + (index % 9), energy_price_usd_per_kwh: 0.14 },
  }));
  lines.push({ ...lines[0], timestamp: "yesterday" }, { ...lines[1], metrics: { temperature_celsius: 4000 } });
  const totals = await sendBatch(lines);
  assert.deepEqual([totals.accepted + totals.duplicate, totals.rejected], [49, 2]);
  await sendPilots();
  await sendAlerts();
}

/** Sets rules, of which one finds that the plant of the pilot is silent, and a webhook. */
async function sendAlerts() {
  const put = (path, json) => call(path, { method: "PUT", body: JSON.stringify(json) });
  await put("/v1/webhooks/pager", { url: "https://hooks.example.org/mass", description: "Guardia" });
  await put("/v1/alert-rules/hall-too-hot", { condition: { kind: "metric_out_of_range", metric: "temperature_celsius", max: 90, site_id: SITE }, severity: "critical", for_seconds: 300, webhooks: ["pager"] });
  await put("/v1/alert-rules/silent", { condition: { kind: "device_silent", after_seconds: 86_400, site_id: PILOT_SITE }, description: "Nadie informa." });
  while ((await call("/v1/alerts?state=open&rule=silent", { method: "GET" })).items.length === 0) await new Promise((resolve) => setTimeout(resolve, 250));
}

/** Sends documents, of which those that are refused are kept. */
async function sendBatch(lines) {
  const body = lines.map((line) => JSON.stringify(line)).join("\n");
  const { totals } = await call("/v1/mass-requests/batch?quarantine=true", { body, type: "application/x-ndjson" });
  return totals;
}

/** Twelve weeks of a plant that saves 10 % of its energy after eight of them. */
function pilotHours(begin) {
  return Array.from({ length: 12 * 168 + 1 }, (_, hour) => {
    const daily = Math.sin((hour * Math.PI) / 12 - 2);
    const temperature = 15 + 4 * daily + 3 * Math.sin(hour / 61) + Math.sin(hour / 17);
    const it = 80 + 6 * daily + 2 * Math.sin(hour / 29);
    const hvac = it * (0.12 + 0.004 * Math.max(0, temperature - 12)) * (hour >= 8 * 168 ? 0.9 : 1) * (1 + 0.01 * Math.sin(hour * hour));
    return {
      mass_version: "2.0",
      timestamp: new Date(begin + hour * HOUR).toISOString().replace(".000", ""),
      device: { id: "plant-1", type: "meter", location: "Sala 2", site_id: PILOT_SITE },
      metrics: {
        it_power_kw: it, hvac_power_kw: hvac, facility_power_kw: 1.1 * it + hvac, temperature_celsius: temperature,
        humidity_percent: 60 - 15 * daily, pressure_hpa: 1010, inlet_temperature_celsius: 22,
      },
    };
  });
}

/** Makes a crossover project with its schedule, and a project before and after with a report; keeps their addresses. */
async function sendPilots() {
  const begin = Date.parse("2025-03-03T00:00:00Z");
  const totals = await sendBatch(pilotHours(begin));
  assert.equal(totals.rejected, 0);
  const period = (from, until) => ({ from: new Date(begin + from * 168 * HOUR).toISOString(), until: new Date(begin + until * 168 * HOUR).toISOString() });
  const create = (name, design) => call("/v1/savings/projects", { body: JSON.stringify({
    name, site_id: PILOT_SITE, weather_device: "plant-1", boundary: "hvac", zone: "UTC", design,
    price: { per_kwh: 0.25, currency: "EUR" }, co2e_kg_per_kwh: 0.4,
  }) });
  const crossover = await create("Crossover", { kind: "crossover", first_day: new Date(Date.now() + 48 * HOUR).toISOString().slice(0, 10), pairs: 14, washout: false });
  await call(`/v1/savings/projects/${crossover.id}/schedule`);
  const before = await create("Fans", { kind: "pre_post", baseline: period(0, 8), reporting: period(8, 12) });
  let report = await call(`/v1/savings/projects/${before.id}/reports`);
  while (!["done", "failed"].includes(report.state)) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    report = await call(`/v1/savings/reports/${report.id}`, { method: "GET" });
  }
  assert.equal(report.state, "done", report.failure);
  Object.assign(pilots, { crossover: crossover.id, report: report.id });
}

/** The administrator's console in the first variant, which tests share that leave it logged in. */
let shared;

async function enter() {
  if (!shared) {
    shared = await open(FIRST);
    await logIn(shared);
  }
  shared.complaints.length = 0;
  return shared;
}

/** Every page with its address, or what returns it, and what shows that it is useful. */
const PAGES = [
  ["overview", "/", (page) => page.getByRole("heading", { name: SITE })],
  ["site", `/sites/${SITE}`, (page) => page.locator(".chart canvas").first()],
  ["devices", "/devices", (page) => page.getByRole("link", { name: "meter-1" })],
  ["device", "/devices/meter-1", (page) => page.locator(".chart canvas").first()],
  ["requests", `/requests?site_id=${SITE}`, (page) => page.locator("tbody tr").first()],
  ["import", "/import", (page) => page.locator(".drop")],
  ["quarantine", "/quarantine", (page) => page.locator("tbody tr").first()],
  ["alerts", "/alerts", (page) => page.getByRole("link", { name: "plant-1" })],
  ["alerts-rules", "/alerts/rules", (page) => page.getByRole("cell", { name: "hall-too-hot" }).first()],
  ["alerts-webhooks", "/alerts/webhooks", (page) => page.getByRole("cell", { name: "pager" }).first()],
  ["alerts-notifications", "/alerts/notifications", (page) => page.locator(".empty, tbody tr").first()],
  ["pilot", "/pilot", (page) => page.locator("tbody tr").first()],
  ["pilot-project", () => `/pilot/${pilots.crossover}`, (page) => page.locator(".days li").first()],
  ["pilot-report", () => `/pilot/reports/${pilots.report}`, (page) => page.locator(".chart canvas").first()],
  ["pilot-plan", "/pilot/plan", (page) => page.locator("form select").nth(1)],
  ["pilot-new", "/pilot/new", (page) => page.locator("form textarea")],
  ["audit", "/audit", (page) => page.locator(".badge.good").first()],
  ["audit-events", "/audit/events", (page) => page.locator("tbody tr").first()],
  ["admin", "/admin", (page) => page.locator("form").first()],
  ["admin-users", "/admin/users", (page) => page.getByRole("cell", { name: MASS_EMAIL, exact: true })],
  ["admin-keys", "/admin/keys", (page) => page.locator(".empty, tbody tr").first()],
  ["admin-usage", "/admin/usage", (page) => page.locator(".figures")],
  ["admin-settings", "/admin/settings", (page) => page.locator(".segments").nth(2)],
  ["admin-mappings", "/admin/mappings", (page) => page.locator(".empty, tbody tr").first()],
  ["admin-tenants", "/admin/tenants", (page) => page.locator("tbody tr").first()],
  ["admin-deliveries", "/admin/deliveries", (page) => page.locator(".empty, tbody tr").first()],
];

for (const variant of VARIANTS.split(",")) {
  test(`${variant}: every page is useful, accessible and of this server alone`, { timeout: PATIENCE }, async () => {
    const opened = await open(variant);
    const { page, context, t, strays, complaints } = opened;
    await page.goto(`${MASS_URL}/`);
    await page.getByLabel(t("email")).waitFor();
    await look(opened, "log-in");
    await logIn(opened);
    await page.locator(".issues").waitFor();
    for (const [name, hash, useful] of PAGES) {
      const asked = [];
      const count = (request) => /\/v1\/(?!auth\/)/.test(request.url()) && asked.push(request.url());
      page.on("request", count);
      // The first page is loaded by the log-in already.
      if (name === "overview") await page.reload();
      else await visit(opened, typeof hash === "string" ? hash : hash());
      await useful(page).waitFor();
      await page.waitForFunction(() => !document.querySelector(".skeleton, [aria-busy=true]"));
      page.off("request", count);
      assert.ok(asked.length <= 6, `${name} asks ${asked.length} times: ${asked.join(" ")}`);
      await look(opened, name);
    }
    assert.deepEqual(strays, []);
    assert.deepEqual(complaints, []);
    if (variant === FIRST) shared = opened;
    else await context.close();
  });
}

test("a session goes on after a reload, in other tabs, and ends in all of them", { timeout: PATIENCE }, async () => {
  const opened = await open(FIRST);
  const { page, context, t, complaints } = opened;
  await logIn(opened);
  assert.equal(await page.evaluate(() => document.cookie), "");
  for (let round = 0; round < 3; round += 1) {
    await page.reload();
    await page.locator(".shell").waitFor();
  }
  const others = await Promise.all([context.newPage(), context.newPage()]);
  await Promise.all(others.map((other) => other.goto(`${MASS_URL}/#/devices`)));
  await Promise.all(others.map((other) => other.locator(".shell").waitFor({ timeout: PATIENCE })));
  if (await page.getByRole("button", { name: t("menu") }).isVisible()) await page.getByRole("button", { name: t("menu") }).click();
  await page.getByRole("button", { name: t("log.out") }).click();
  await Promise.all([page, ...others].map((one) => one.getByLabel(t("password")).waitFor({ timeout: PATIENCE })));
  await page.reload();
  await page.getByLabel(t("password")).waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
});

test("an expired session, a wrong password and an absent server are told", { timeout: PATIENCE }, async () => {
  const opened = await open(FIRST);
  const { page, context, t } = opened;
  await page.goto(`${MASS_URL}/`);
  await page.getByLabel(t("email")).fill("nobody@example.test");
  await page.getByLabel(t("password")).fill("not the password");
  await page.getByRole("button", { name: t("log.in") }).click();
  await page.getByText(t("log.in.wrong")).waitFor();
  await logIn(opened);
  await context.setOffline(true);
  await visit(opened, "/devices");
  await page.getByText(t("advice.offline"), { exact: true }).or(page.getByText(t("advice.offline.deed"))).first().waitFor();
  await context.setOffline(false);
  await context.clearCookies();
  await page.route("**/v1/devices**", (route) => route.fulfill({ status: 401, contentType: "application/problem+json", body: JSON.stringify({ type: "/problems/unauthenticated", title: "x", status: 401, instance: "/", request_id: "r" }) }));
  await visit(opened, "/");
  await page.getByText(t("session.ended")).waitFor();
  await context.close();
});

test("a file is looked at, imported, shown, and its import undone", { timeout: PATIENCE }, async () => {
  const opened = await enter();
  const { page, context, t, complaints, listen } = opened;
  await visit(opened, "/import");
  const rows = ["20.5", "21.5", "4000"].map((value, index) => `2.0,2026-01-0${index + 1}T00:00:00Z,imported,hall-1,${value}`);
  const csv = ["mass_version,timestamp,device.id,device.site_id,metrics.temperature_celsius", ...rows, ""].join("\n");
  await page.locator("input[type=file]").setInputFiles({ name: "readings.csv", mimeType: "text/csv", buffer: Buffer.from(csv) });
  await page.getByText(t("import.look.verdict", { refused: 1, count: 3 })).waitFor();
  await look(opened, "import-look");
  await page.locator(".card").getByRole("button", { name: t("import"), exact: true }).click();
  await page.getByText(t("import.done")).waitFor();
  await look(opened, "import-result");
  const mend = page.getByRole("link", { name: t("import.mend") });
  const record = await mend.getAttribute("href");
  // In another tab, since the result of an import goes with its page.
  const shown = await context.newPage();
  shown.setDefaultTimeout(PATIENCE);
  listen(shown);
  await shown.goto(new URL(await page.getByRole("link", { name: t("import.show") }).getAttribute("href"), `${MASS_URL}/`).href);
  await shown.getByRole("cell", { name: "imported", exact: true }).first().waitFor();
  assert.equal(await shown.locator("tbody tr").count(), 2);
  await page.getByRole("button", { name: t("import.undo"), exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText(t("import.undo.detail", { count: 2 })).waitFor();
  await look(opened, "import-undo");
  await dialog.getByRole("button", { name: t("import.undo"), exact: true }).click();
  await dialog.getByText(t("import.undone", { count: 2 })).waitFor();
  await dialog.getByRole("button", { name: t("close"), exact: true }).click();
  await shown.reload();
  await shown.getByText(t("requests.none.such"), { exact: true }).waitFor();
  await visit(opened, record.split("#")[1]);
  await page.getByText("/metrics/temperature_celsius").waitFor();
  await look(opened, "quarantine-record");
  await shown.close();
  assert.deepEqual(complaints, []);
});

test("a receipt is verified in the browser, and a changed one is not", { timeout: PATIENCE }, async () => {
  const opened = await enter();
  const { page, t, complaints } = opened;
  await visit(opened, `/requests?site_id=${SITE}`);
  await page.locator("tbody a").first().click();
  await page.getByRole("link", { name: t("verify"), exact: true }).waitFor();
  await look(opened, "request");
  await page.getByRole("link", { name: t("verify"), exact: true }).click();
  const receipt = page.getByLabel(t("receipt"), { exact: true });
  await page.waitForFunction(() => document.querySelector("textarea")?.value.includes("inclusion"));
  await page.waitForFunction(() => document.querySelector("input.mono")?.value.includes("+"));
  const verify = page.getByRole("button", { name: t("verify"), exact: true });
  await verify.click();
  await page.getByText(t("audit.verdict.good")).waitFor();
  assert.equal(await page.locator(".steps .badge.good").count(), 5);
  await look(opened, "audit-verify");
  const genuine = await receipt.inputValue();
  // One letter of the event, one hash of the proof, the number of events, and the document.
  for (const changed of [
    genuine.replace('\\"outcome\\":\\"success', '\\"outcome\\":\\"sucess'),
    genuine.replace(/("hashes": \[\s*")(.)/, (_, begin, digit) => begin + (digit === "0" ? "1" : "0")),
    genuine.replace(/"tree_size": (\d+)/, (_, size) => `"tree_size": ${Number(size) + 1}`),
  ]) {
    assert.notEqual(changed, genuine);
    await receipt.fill(changed);
    await verify.click();
    await page.getByText(t("audit.verdict.bad")).waitFor();
  }
  await receipt.fill(genuine);
  await page.getByLabel(t("audit.document"), { exact: true }).fill("{}");
  await verify.click();
  await page.getByText(t("audit.verdict.bad")).waitFor();
  assert.equal(await page.locator(".steps .badge.bad").count(), 1);
  assert.deepEqual(complaints, []);
});

test("a report and a pilot are deleted once that is confirmed, the pilot after its reports", { timeout: PATIENCE }, async () => {
  const opened = await enter();
  const { page, t } = opened;
  const button = (scope) => scope.getByRole("button", { name: t("delete"), exact: true });
  const { project_id: project } = await call(`/v1/savings/reports/${pilots.report}`, { method: "GET" });
  await visit(opened, `/pilot/${project}`);
  await page.locator("tbody a").first().waitFor();
  await button(page.locator(".page-head")).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText(t("delete.pilot.detail")).waitFor();
  await button(dialog).click();
  await dialog.getByText(t("advice.savings-not-allowed")).waitFor();
  await look(opened, "pilot-delete");
  await dialog.getByRole("button", { name: t("cancel"), exact: true }).click();

  await page.locator("tbody a").first().click();
  await page.getByText(t("pilot.rests")).waitFor();
  await button(page.locator(".page-head")).click();
  await dialog.getByText(t("delete.report.detail")).waitFor();
  await look(opened, "pilot-report-delete");
  await button(dialog).click();
  await page.getByText(t("pilot.reports.none"), { exact: true }).waitFor();

  // Somebody changes the terms meanwhile: what is deleted is what was read.
  const { terms } = await call(`/v1/savings/projects/${project}`, { method: "GET" });
  await call(`/v1/savings/projects/${project}`, { method: "PUT", body: JSON.stringify({ ...terms, name: "Other fans" }) });
  await button(page.locator(".page-head")).click();
  await button(dialog).click();
  await dialog.getByText(t("advice.precondition-failed"), { exact: true }).waitFor();
  await dialog.getByRole("button", { name: t("cancel"), exact: true }).click();
  await page.reload();
  await page.getByRole("heading", { name: "Other fans" }).waitFor();
  await button(page.locator(".page-head")).click();
  await button(dialog).click();
  await page.getByRole("heading", { name: t("pilot"), exact: true }).waitFor();
  await page.locator("tbody tr").first().waitFor();
  assert.equal(await page.getByRole("link", { name: "Other fans" }).count(), 0);
});

test("a pilot is priced hour by hour by a series that a device reports", { timeout: PATIENCE }, async () => {
  const opened = await enter();
  const { page, t, complaints } = opened;
  await visit(opened, "/pilot/new");
  await page.getByLabel(t("name"), { exact: true }).fill("Tarifa");
  await page.getByLabel(t("pilot.first.day"), { exact: true }).fill("2030-01-07");
  await page.getByLabel(t("pilot.price.kind"), { exact: true }).selectOption("series");
  await page.getByLabel(t("pilot.price.of"), { exact: true }).selectOption({ label: "meter-1 · energy_price_usd_per_kwh" });
  await page.getByLabel(t("pilot.currency"), { exact: true }).fill("USD");
  await look(opened, "pilot-new-series");
  await page.getByRole("button", { name: t("create"), exact: true }).click();
  await page.getByRole("heading", { name: "Tarifa" }).waitFor();
  await page.locator(".facts .mono", { hasText: "energy_price_usd_per_kwh" }).waitFor();
  const listed = await call("/v1/savings/projects", { method: "GET" });
  const { id } = listed.items.find(({ name }) => name === "Tarifa");
  const { terms } = await call(`/v1/savings/projects/${id}`, { method: "GET" });
  assert.deepEqual(terms.price, { series: { metric: "energy_price_usd_per_kwh", device_id: "meter-1" }, currency: "USD" });
  assert.deepEqual(complaints, []);
});

test("a viewer sees what a viewer may do, and an auditor the audit trail", { timeout: PATIENCE }, async () => {
  const headers = { Authorization: `Bearer ${MASS_TOKEN}`, "Content-Type": "application/json" };
  for (const [role, shown, hidden] of [["viewer", ["overview", "quarantine", "pilot"], ["import"]], ["auditor", ["overview", "audit"], ["import"]]]) {
    const email = `${role}@console.example`;
    const made = await fetch(`${MASS_URL}/v1/admin/users`, { method: "POST", headers, body: JSON.stringify({ email, password: MASS_PASSWORD, roles: [role] }) });
    assert.equal(made.status, 201);
    const opened = await open(FIRST);
    const { page, context, t, complaints } = opened;
    await logIn(opened, email);
    await page.getByRole("heading", { name: SITE }).waitFor();
    const pages = await page.locator("#pages a").allInnerTexts();
    for (const name of shown) assert.ok(pages.includes(t(name)), `${role}: ${pages}`);
    for (const name of hidden) assert.ok(!pages.includes(t(name)), `${role}: ${pages}`);
    await visit(opened, "/quarantine");
    await page.locator("tbody tr").first().waitFor();
    assert.equal(await page.getByRole("button", { name: t("quarantine.retry.all") }).count(), 0);
    await visit(opened, "/audit");
    await page.getByRole("heading", { name: t("audit"), exact: true }).waitFor();
    assert.equal(await page.getByRole("link", { name: t("audit.tab.events") }).count(), role === "auditor" ? 1 : 0);
    assert.deepEqual(complaints, []);
    await context.close();
  }
});

test("all that browsers load is less than 250 kB", () => {
  const assets = new URL("../../crates/console/assets/", import.meta.url);
  const files = readdirSync(assets, { recursive: true }).filter((name) => /(?<!\.d)\.(js|css|html|svg)$/.test(name));
  const bytes = files.map((name) => gzipSync(readFileSync(new URL(name, assets))).length).reduce((sum, size) => sum + size, 0);
  assert.ok(files.length > 50 && bytes < 250_000, `${files.length} files, ${bytes} bytes`);
});

test("both languages have the same words", () => {
  assert.deepEqual(Object.keys(words.es).sort(), Object.keys(words.en).sort());
  for (const [key, text] of Object.entries(words.en)) {
    const names = (sentence) => [...sentence.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();
    assert.deepEqual(names(words.es[key]), names(text), key);
  }
});

test("every problem and every broken rule has its words", () => {
  const errors = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const between = (name) => errors.slice(errors.indexOf(`<!-- begin ${name} -->`), errors.indexOf(`<!-- end ${name} -->`));
  const kinds = [...errors.matchAll(/^\| `\/problems\/([a-z-]+)` \|/gm)].map(([, kind]) => kind);
  const codes = [...(between("violation codes") + between("warning codes")).matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code);
  assert.ok(kinds.length > 40 && codes.length > 30, `${kinds.length} kinds, ${codes.length} codes`);
  const mapping = readFileSync(new URL("../../docs/mapping.md", import.meta.url), "utf8");
  const [table] = mapping.slice(mapping.indexOf("| `cells` |")).split("\n\n");
  codes.push(...[...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code));
  const wanted = [...kinds.flatMap((kind) => [`advice.${kind}`, `advice.${kind}.deed`]), ...codes.map((code) => `code.${code}`)];
  assert.deepEqual(wanted.filter((key) => !(key in words.es)), []);
});

test("rules can watch all that the API knows, and everything about them has its words", () => {
  const { schemas } = JSON.parse(readFileSync(new URL("../../docs/openapi.json", import.meta.url), "utf8")).components;
  const kinds = schemas.AlertRuleTerms.properties.condition.oneOf.map(({ properties: { kind, ...members }, required }) => [kind.const, members, required]);
  assert.deepEqual(Object.keys(CONDITIONS), kinds.map(([kind]) => kind));
  for (const [kind, members, required] of kinds) {
    const bounds = Object.entries(members).map(([name, { minimum, maximum }]) => ({ name, min: minimum, max: maximum })).sort(byName);
    assert.deepEqual(CONDITIONS[kind].map(({ name, min, max }) => ({ name, min, max })).sort(byName), bounds, kind);
    for (const member of CONDITIONS[kind]) {
      assert.equal(isText(member), [members[member.name].type].flat().includes("string"), `${kind} ${member.name}`);
      assert.ok(member.required || !required.includes(member.name), `${kind} ${member.name}`);
    }
  }
  const { kind: subjects } = schemas.AlertSubject.properties;
  const wanted = [
    ...kinds.flatMap(([kind]) => [`condition.${kind}`, `condition.detail.${kind}`, `alert.${kind}`]),
    ...kinds.flatMap(([, members]) => Object.keys(members).map((name) => `member.${name}`)),
    ...subjects.enum.filter((kind) => !["device", "series"].includes(kind)).map((kind) => `subject.${kind}`),
    ...schemas.Alert.properties.resolution.enum.filter(Boolean).map((name) => `resolution.${name}`),
    ...[...schemas.AlertRuleTerms.properties.severity.enum, ...schemas.Alert.properties.state.enum, ...schemas.Tenant.properties.status.enum].map((name) => `state.${name}`),
    ...schemas.Notification.properties.type.enum.map((name) => `news.${name}`),
  ];
  assert.deepEqual(wanted.filter((key) => !(key in words.es)), []);
});

const byName = (a, b) => a.name.localeCompare(b.name);

test("every reason of a missing indicator, a failed report and a verdict has its words", () => {
  const { schemas } = JSON.parse(readFileSync(new URL("../../docs/openapi.json", import.meta.url), "utf8")).components;
  const verdict = readFileSync(new URL("../../crates/savings/src/verdict.rs", import.meta.url), "utf8");
  const [, reasons] = verdict.match(/^pub enum Reason \{(.*?)^\}/ms);
  const names = [...reasons.matchAll(/^ {4}(\w+)\(f64\),/gm)].map(([, name]) => name.replace(/(?<!^)[A-Z]/g, (letter) => `_${letter}`).toLowerCase());
  assert.ok(names.length > 10, `${names}`);
  const codes = (values) => values.enum.filter(Boolean);
  const wanted = [
    ...codes(schemas.AnalyticsKpi.properties.reason_code).map((code) => `absence.${code}`),
    ...codes(schemas.SavingsReportSummary.properties.failure_code).map((code) => `failure.${code}`),
    ...names.map((name) => `because.${name}`),
  ];
  assert.deepEqual(wanted.filter((key) => !(key in words.es)), []);
});

test("a chart keeps the extremes of what it does not draw, and its gaps", () => {
  const xs = Array.from({ length: 1000 }, (_, index) => index);
  const values = xs.map((x) => (x === 333 ? 90 : x === 777 ? -90 : x === 500 ? null : Math.sin(x)));
  const { xs: at, ys } = trace(xs, values, 0.02, (value) => value, false);
  assert.ok(at.length <= 4 * 21 + 1, `${at.length} points in 20 columns`);
  assert.deepEqual([Math.max(...ys.filter(Number.isFinite)), Math.min(...ys.filter(Number.isFinite))], [90, -90]);
  assert.deepEqual(at.filter((_, index) => Number.isNaN(ys[index])), [10]);
  assert.deepEqual(at, [...at].sort((a, b) => a - b));
  assert.deepEqual([at[0], at.at(-1)], [0, 999 * 0.02]);
  // With room for all of them, every point is drawn; dashes go on by the length of the line so far.
  const whole = trace(xs, values, 3, (value) => value, true);
  assert.equal(whole.xs.length, 1000);
  assert.ok(Math.abs(whole.along[1] - Math.hypot(3, Math.sin(1))) < 1e-9);
  assert.deepEqual([whole.along[0], whole.along[501]], [0, 0]);
});
