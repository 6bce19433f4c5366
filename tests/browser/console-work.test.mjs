// Works in the console in a real Chromium: sessions, tenants, imports that are mended, and problems with what to do about them.
// Needs a running server (scripts/with-server) and CHROMIUM, the browser's path.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import jsQR from "jsqr";
import { MASS_PASSWORD, MASS_TOKEN, MASS_URL, PATIENCE, browser, logIn, look, open, visit } from "./visitor.mjs";

const [VARIANT] = (process.env.VARIANTS ?? "es-1280-light").split(",");
const OPERATOR = "operator@console-work.example";
const VIEWER = "viewer@console-work.example";

/** Calls an operation as the administrator. */
async function call(method, path, json) {
  const headers = { Authorization: `Bearer ${MASS_TOKEN}`, Accept: "application/json", "Content-Type": "application/json" };
  const answer = await fetch(`${MASS_URL}${path}`, { method, headers, body: JSON.stringify(json) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
}

before(async () => {
  await call("POST", "/v1/admin/users", { email: OPERATOR, password: MASS_PASSWORD, roles: ["operator", "admin", "platform_admin"] });
  await call("POST", "/v1/admin/users", { email: VIEWER, password: MASS_PASSWORD, roles: ["viewer"] });
});

after(() => browser.close());

/** The console as each user, which tests share. */
const consoles = new Map();

/** Opens the console as somebody, or returns to it. */
async function enter(email) {
  const opened = consoles.get(email) ?? await open(VARIANT);
  if (!consoles.has(email)) await logIn(opened, email);
  consoles.set(email, opened);
  opened.complaints.length = 0;
  return opened;
}

/** Chooses a file of the import page. */
const choose = (page, name, text) =>
  page.locator("input[type=file]").setInputFiles({ name, mimeType: "text/csv", buffer: Buffer.from(text) });

/** Begins the import of the chosen file. */
const begin = ({ page, t }) => page.locator(".card").getByRole("button", { name: t("import"), exact: true }).click();

/** Waits for what the console says about a problem, and what to do. */
async function told({ page, t }, key, values) {
  const notice = page.locator(".notice.bad");
  await notice.locator("strong", { hasText: t(`advice.${key}`) }).waitFor();
  await notice.getByText(t(`advice.${key}.deed`, values), { exact: true }).waitFor();
}

const CSV = (values, device) => ["mass_version,timestamp,device.id,metrics.temperature_celsius",
  ...values.map((value, index) => `2.0,2026-01-0${index + 1}T00:00:00Z,${device},${value}`), ""].join("\n");

test("a user sees where it is logged in, and ends its other sessions", { timeout: PATIENCE }, async () => {
  const other = await open(VARIANT);
  await logIn(other, VIEWER);
  const opened = await enter(VIEWER);
  const { page, t, complaints } = opened;
  await visit(opened, "/admin/account");
  await page.getByText(t("sessions.current"), { exact: true }).waitFor();
  await look(opened, "admin-sessions");
  await page.getByRole("button", { name: t("sessions.end.others") }).click();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  assert.equal(await page.getByRole("button", { name: t("sessions.end.others") }).count(), 0);
  await other.page.reload();
  await other.page.getByLabel(t("password")).waitFor();
  assert.deepEqual(complaints, []);
  await other.context.close();
});

test("an administrator of the platform creates a tenant, and its first administrator logs in", { timeout: PATIENCE }, async () => {
  const opened = await enter(OPERATOR);
  const { page, t } = opened;
  await visit(opened, "/admin/tenants");
  await page.getByRole("button", { name: t("admin.tenants.new") }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(t("admin.tenants.slug"), { exact: true }).fill("planta-norte");
  await dialog.getByLabel(t("admin.tenants.admin")).fill("admin@norte.example");
  await look(opened, "admin-tenants-new");
  await dialog.getByRole("button", { name: t("create"), exact: true }).click();
  await dialog.getByText(t("admin.tenants.made", { tenant: "planta-norte" })).waitFor();
  const password = await dialog.locator("pre").innerText();
  await dialog.getByRole("button", { name: t("close"), exact: true }).click();
  const row = page.getByRole("row", { name: "planta-norte" });
  await row.getByText(t("state.active"), { exact: true }).waitFor();
  const credentials = JSON.stringify({ email: "admin@norte.example", password });
  const answer = await fetch(`${MASS_URL}/v1/auth/login`, { method: "POST", headers: { "Content-Type": "application/json" }, body: credentials });
  assert.equal(answer.status, 200);

  // The name is taken now.
  await page.getByRole("button", { name: t("admin.tenants.new") }).click();
  await dialog.getByLabel(t("admin.tenants.slug"), { exact: true }).fill("planta-norte");
  await dialog.getByLabel(t("admin.tenants.admin")).fill("other@norte.example");
  await dialog.getByRole("button", { name: t("create"), exact: true }).click();
  await told(opened, "tenant-taken");
  await look(opened, "problem-409");
  await dialog.getByRole("button", { name: t("cancel"), exact: true }).click();

  // Out, and back: suspended, to be deleted, taken back, resumed.
  const step = async (name, state) => {
    await row.getByRole("button", { name: t(`admin.tenants.${name}`) }).click();
    const confirm = dialog.getByRole("button", { name: t(`admin.tenants.${name}`), exact: true });
    await dialog.getByLabel(t("reason")).fill("El contrato ha terminado.");
    if (name === "deletion") {
      assert.ok(await confirm.isDisabled(), "a deletion is confirmed by the name");
      await dialog.getByLabel(t("admin.tenants.type", { tenant: "planta-norte" })).fill("planta-norte");
    }
    if (name === "suspend" || name === "deletion") await look(opened, `admin-tenants-${name}`);
    await confirm.click();
    await dialog.waitFor({ state: "detached" });
    await row.getByText(t(`state.${state}`), { exact: true }).waitFor();
    assert.equal((await call("GET", "/v1/admin/tenants/planta-norte")).status, state);
  };
  await step("suspend", "suspended");
  await step("deletion", "deletion_requested");
  await look(opened, "admin-tenants");
  await step("cancel", "suspended");
  await step("resume", "active");
  assert.equal(await page.getByRole("row", { name: "default" }).getByRole("button").count(), 0, "nobody suspends his own tenant");
});

test("settings that are changed leave the others as they are", { timeout: PATIENCE }, async () => {
  await call("PUT", "/v1/admin/settings", { second_factor: false });
  const opened = await enter(OPERATOR);
  const { page, t } = opened;
  await visit(opened, "/admin/settings");
  await page.getByRole("group", { name: t("setting.quarantine") }).getByRole("button", { name: t("yes"), exact: true }).click();
  await page.getByText(t("setting.now", { value: t("yes") })).waitFor();
  const { auto_send, quarantine, second_factor } = await call("GET", "/v1/admin/settings");
  assert.deepEqual({ auto_send, quarantine, second_factor }, { auto_send: null, quarantine: true, second_factor: false });
  await call("PUT", "/v1/admin/settings", {});
});

test("the key of a second factor is a QR code, too", { timeout: PATIENCE }, async () => {
  const opened = await enter(VIEWER);
  const { page, t, complaints } = opened;
  await visit(opened, "/admin/account");
  const card = page.locator(".card", { has: page.getByRole("heading", { name: t("factor") }) });
  await card.getByLabel(t("admin.password.now")).fill(MASS_PASSWORD);
  await card.getByRole("button", { name: t("factor.begin") }).click();
  const code = card.locator("svg.qr");
  await code.waitFor();
  await look(opened, "admin-factor");
  const { dark, side } = await code.evaluate(async (svg) => {
    const side = 4 * svg.viewBox.baseVal.width;
    const copy = svg.cloneNode(true);
    for (const [name, value] of [["xmlns", "http://www.w3.org/2000/svg"], ["width", side], ["height", side]]) copy.setAttribute(name, value);
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(copy.outerHTML)}`;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, side, side);
    return { side, dark: Array.from({ length: side * side }, (_, index) => (data[4 * index] < 128 ? "1" : "0")).join("") };
  });
  const pixels = Uint8ClampedArray.from([...dark].flatMap((one) => (one === "1" ? [0, 0, 0, 255] : [255, 255, 255, 255])));
  const uri = await card.getByRole("link", { name: t("factor.open") }).getAttribute("href");
  assert.match(uri, /^otpauth:\/\/totp\//);
  assert.equal(jsQR(pixels, side, side)?.data, uri);
  assert.ok(uri.includes((await card.locator("pre").innerText()).replaceAll(" ", "")));
  assert.deepEqual(complaints, []);
});

test("a rule opens an alert, which somebody looks after", { timeout: PATIENCE }, async () => {
  const reading = { mass_version: "2.0", timestamp: "2026-01-05T10:00:00Z", device: { id: "callado", type: "meter", site_id: "sala-9" }, metrics: { power_kw: 1 } };
  await call("POST", "/v1/mass-requests", reading);
  const opened = await enter(OPERATOR);
  const { page, t, complaints } = opened;
  const dialog = page.getByRole("dialog");
  const press = (scope, key) => scope.getByRole("button", { name: t(key), exact: true }).click();
  await visit(opened, "/alerts/rules");
  await press(page, "rules.new");
  await dialog.getByLabel(t("name"), { exact: true }).fill("silencio");
  await dialog.getByLabel(t("condition")).selectOption("metric_out_of_range");
  await dialog.getByLabel(t("member.metric"), { exact: true }).fill("power_kw");
  await press(dialog, "save");
  // Without a bound, there is nothing out of which a value could be.
  await dialog.locator(".notice.bad").waitFor();
  await look(opened, "alerts-rules-new");
  await dialog.getByLabel(t("condition")).selectOption("device_silent");
  await dialog.getByLabel(t("member.site_id"), { exact: true }).fill("sala-9");
  await dialog.getByLabel(t("severity")).selectOption("critical");
  await press(dialog, "save");
  await page.getByRole("cell", { name: "silencio", exact: true }).waitFor();
  const listed = async (query) => {
    for (;;) {
      const { items } = await call("GET", `/v1/alerts?rule=silencio&${query}`);
      if (items.length > 0) return items[0];
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  };
  await listed("state=open");
  await visit(opened, "/alerts?severity=critical&rule=silencio");
  await page.getByRole("link", { name: "callado · sala-9" }).waitFor();
  await page.getByRole("button", { name: t("alerts.acknowledge") }).click();
  await dialog.getByLabel(t("alerts.note")).fill("Voy a mirarlo.");
  await look(opened, "alerts-acknowledge");
  await press(dialog, "alerts.acknowledge");
  await page.getByText("Voy a mirarlo.").waitFor();
  assert.equal((await listed("state=open")).acknowledgement.note, "Voy a mirarlo.");

  // What the site has no value of, it has a reason for.
  await visit(opened, "/sites/sala-9");
  await page.locator(".figure", { hasText: VARIANT.startsWith("es") ? t("absence.no_series") : "no series of" }).first().waitFor();

  // Somebody changes the rule meanwhile.
  await visit(opened, "/alerts/rules");
  await page.getByRole("button", { name: `${t("change")} silencio` }).click();
  await call("PUT", "/v1/alert-rules/silencio", { condition: { kind: "device_silent", after_seconds: 7200, site_id: "sala-9" } });
  await press(dialog, "save");
  await told(opened, "precondition-failed");
  await press(dialog, "cancel");
  await page.reload();
  await page.getByRole("button", { name: `${t("change")} silencio` }).click();
  assert.equal(await dialog.getByLabel(t("member.after_seconds")).inputValue(), "7200");
  await press(dialog, "rules.delete");
  await page.getByRole("cell", { name: "silencio", exact: true }).waitFor({ state: "detached" });
  await listed("state=resolved");
  await visit(opened, "/alerts?state=resolved&rule=silencio");
  await page.getByText(t("resolution.rule_deleted")).waitFor();
  await look(opened, "alerts-resolved");

  const viewer = await enter(VIEWER);
  await visit(viewer, "/alerts?state=all&rule=silencio");
  await viewer.page.getByRole("link", { name: "callado · sala-9" }).waitFor();
  assert.deepEqual(await viewer.page.locator(".tabs a").allInnerTexts(), [t("alerts"), t("alerts.rules")]);
  await visit(viewer, "/alerts/rules");
  await viewer.page.locator(".empty, tbody tr").first().waitFor();
  assert.equal(await viewer.page.getByRole("button", { name: t("rules.new") }).count(), 0);
  assert.deepEqual(complaints.filter((text) => !/422|412/.test(text)), []);
});

test("a webhook is made with a secret that is shown once, and given another", { timeout: PATIENCE }, async () => {
  const opened = await enter(OPERATOR);
  const { page, t } = opened;
  const dialog = page.getByRole("dialog");
  const press = (scope, key) => scope.getByRole("button", { name: t(key), exact: true }).click();
  await visit(opened, "/alerts/webhooks");
  await press(page, "webhooks.new");
  await dialog.getByLabel(t("name"), { exact: true }).fill("guardia");
  await dialog.getByLabel("URL").fill("https://hooks.example.org/mass");
  await look(opened, "alerts-webhooks-new");
  await press(dialog, "save");
  await dialog.getByText(t("webhooks.secret", { name: "guardia" })).waitFor();
  const secret = await dialog.locator("pre").innerText();
  assert.match(secret, /^whsec_/);
  await look(opened, "alerts-webhooks-secret");
  await press(dialog, "close");
  await page.getByRole("button", { name: `${t("webhooks.rotate")} guardia` }).click();
  await press(dialog, "webhooks.rotate");
  await dialog.locator("pre").waitFor();
  assert.notEqual(await dialog.locator("pre").innerText(), secret);
  await press(dialog, "close");
  await page.getByRole("button", { name: `${t("webhooks.test")} guardia` }).click();
  await told(opened, "webhooks-off");
  await page.getByRole("button", { name: `${t("change")} guardia` }).click();
  await press(dialog, "webhooks.delete");
  await page.getByText("guardia").first().waitFor({ state: "detached" });

  // Nothing is sent by a server of tests: what a receiver refused is made up, and what is sent again is seen by its call.
  const dead = { id: "0199d3a0-0000-7000-8000-000000000006", webhook: "guardia", type: "alert.opened", alert_id: null, state: "dead", attempts: 20,
    failure: "The receiver answered with status 500.", created_at: "2026-11-24T18:00:00.123456Z", updated_at: "2026-11-25T17:00:00.123456Z" };
  await page.route("**/v1/notifications**", (route) => route.fulfill({ json: route.request().method() === "POST" ? dead : { items: [dead], next_cursor: null } }));
  await visit(opened, "/alerts/notifications?state=dead");
  await page.getByText(dead.failure).waitFor();
  await look(opened, "alerts-notifications-dead");
  const [sent] = await Promise.all([page.waitForRequest((request) => request.method() === "POST"), page.getByRole("button", { name: t("replay") }).click()]);
  assert.ok(sent.url().endsWith(`/v1/notifications/${dead.id}/replay`), sent.url());
  await page.unroute("**/v1/notifications**");
});

test("what a mapping profile makes of a file is seen before the import", { timeout: PATIENCE }, async () => {
  const headers = { Authorization: `Bearer ${MASS_TOKEN}`, "Content-Type": "application/toml" };
  const profile = 'contract = "device/2.0"\n[time]\nfrom = "Hora"\n[members]\n"device.id" = { value = "pdu-7" }\n"metrics.power_kw" = { from = "Vatios", unit = "w->kw", type = "number" }\n';
  const kept = await fetch(`${MASS_URL}/v1/mappings/regleta`, { method: "PUT", headers, body: profile });
  assert.equal(kept.status, 201, await kept.text());
  const opened = await enter(OPERATOR);
  const { page, t, complaints } = opened;
  await visit(opened, "/import");
  await page.locator(".drop").waitFor();
  await choose(page, "regleta.csv", "Hora,Vatios\n2026-01-05T09:00:00Z,412\nayer,400\n");
  await page.getByLabel(t("mapping"), { exact: true }).selectOption("regleta");
  await page.getByText(t("import.look.verdict", { refused: 1, count: 2 })).waitFor();
  await page.getByText("0.412").waitFor();
  await page.locator(".look code", { hasText: "Hora" }).waitFor();
  await look(opened, "import-look-mapped");
  await begin(opened);
  await page.getByText(t("import.done")).waitFor();
  assert.deepEqual(complaints, []);
});

test("refused rows of a table are mended where they are", { timeout: PATIENCE }, async () => {
  const opened = await enter(OPERATOR);
  const { page, t, complaints } = opened;
  await visit(opened, "/import");
  await page.locator(".drop").waitFor();
  await choose(page, "readings.csv", CSV(["20.5", "4000", "5000"], "mended"));
  await page.getByText(t("import.look.verdict", { refused: 2, count: 3 })).waitFor();
  await begin(opened);
  const cells = page.locator(".mended input[aria-invalid=true]");
  await page.locator(".mended").waitFor();
  assert.equal(await cells.count(), 2);
  await look(opened, "import-mend");
  await cells.first().fill("21.5");
  await page.getByRole("button", { name: t("import.mend.send", { count: 2 }) }).click();
  await page.getByText(t("import.mend.sent", { stored: 1, count: 2 })).waitFor();
  assert.equal(await cells.count(), 1);
  await cells.first().fill("22.5");
  await page.getByRole("button", { name: t("import.mend.send", { count: 1 }) }).click();
  await page.locator(".mended").waitFor({ state: "detached" });
  await page.getByRole("link", { name: t("import.show") }).click();
  await page.getByRole("cell", { name: "mended", exact: true }).nth(2).waitFor();
  assert.equal(await page.locator("tbody tr").count(), 3);
  const kept = await call("GET", "/v1/quarantine");
  assert.ok(!JSON.stringify(kept).includes("mended"), "what is mended leaves the quarantine");
  assert.deepEqual(complaints, []);
});

test("problems say what to do: 403, 412, 413 and 429", { timeout: PATIENCE }, async () => {
  const viewer = await enter(VIEWER);
  await visit(viewer, "/import");
  await viewer.page.locator(".drop").waitFor();
  await choose(viewer.page, "readings.csv", CSV(["20.5"], "forbidden"));
  await begin(viewer);
  await told(viewer, "forbidden");
  await look(viewer, "problem-403");

  const opened = await enter(OPERATOR);
  const { page, t } = opened;
  await call("PUT", "/v1/mappings/changed", { contract: "simple/1.0", members: { a: "A" } });
  await visit(opened, "/admin/mappings");
  await page.getByRole("button", { name: `${t("change")} changed` }).click();
  const dialog = page.getByRole("dialog");
  await dialog.locator("textarea").waitFor();
  await call("PUT", "/v1/mappings/changed", { contract: "simple/1.0", members: { a: "B" } });
  await dialog.locator("textarea").fill('{"contract": "simple/1.0", "members": {"a": "C"}}');
  await dialog.getByRole("button", { name: t("save"), exact: true }).click();
  await told(opened, "precondition-failed");
  await look(opened, "problem-412");
  await dialog.getByRole("button", { name: t("cancel"), exact: true }).click();

  const batch = await fetch(`${MASS_URL}/v1/mass-requests?quarantine=true`, {
    method: "POST", headers: { Authorization: `Bearer ${MASS_TOKEN}`, "Content-Type": "application/json" }, body: JSON.stringify({ mass_version: "2.0" }),
  });
  const { quarantine_id: record } = await batch.json();
  await visit(opened, `/quarantine/${record}`);
  await page.locator("textarea").waitFor();
  await page.locator("textarea").fill(JSON.stringify({ payload: { text: "x".repeat(1_100_000) } }));
  await page.getByRole("button", { name: t("quarantine.send.mended") }).click();
  await told(opened, "too-large");
  await page.locator("textarea").fill(JSON.stringify({ payload: { a: 1 } }));
  await look(opened, "problem-413");

  await call("PUT", "/v1/admin/quotas", { requests_per_day: 1, stored_bytes: null, quarantine_bytes: null });
  await page.getByRole("button", { name: t("quarantine.send.mended") }).click();
  await told(opened, "daily-quota-exceeded");
  await call("PUT", "/v1/admin/quotas", { requests_per_day: null, stored_bytes: null, quarantine_bytes: null });
  await page.route("**/v1/devices**", (route) => route.fulfill({
    status: 429, contentType: "application/problem+json", headers: { "Retry-After": "7" },
    body: JSON.stringify({ type: "/problems/rate-limited", title: "Too many requests", status: 429, instance: "/", request_id: "r", retry_after_seconds: 7 }),
  }));
  await visit(opened, "/devices");
  await told(opened, "rate-limited", { seconds: 7 });
  await look(opened, "problem-429");
  await page.unroute("**/v1/devices**");
  await page.getByRole("button", { name: t("again") }).click();
  await page.locator("tbody tr").first().waitFor();
});
