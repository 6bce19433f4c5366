// Opens the Swagger UI in a real Chromium as a newcomer would: authorise, try an operation, read the answer.
// Needs a running server (scripts/with-server) and CHROMIUM, the browser's path; SCREENSHOT, a path, is optional.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MASS_EMAIL, MASS_TOKEN, MASS_URL, PATIENCE, browser } from "./visitor.mjs";

const { SCREENSHOT } = process.env;

after(() => browser.close());

test("the documentation page authorises and executes an operation, offline", { timeout: PATIENCE }, async () => {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
  page.setDefaultTimeout(PATIENCE);
  const strayRequests = [];
  const complaints = [];
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "data:" && origin !== MASS_URL) strayRequests.push(request.url());
  });
  // A violation of the content security policy is a console error as well.
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));

  await page.goto(`${MASS_URL}/docs`);
  assert.equal(await page.title(), "MASS API");

  await page.getByRole("button", { name: "Authorize" }).first().click();
  const dialog = page.locator(".dialog-ux .modal-ux");
  await dialog.locator("input").fill(MASS_TOKEN);
  await dialog.getByRole("button", { name: "Apply credentials" }).click();
  await dialog.locator(".btn-done").click();

  const operation = page.locator(".opblock", { has: page.locator('[data-path="/v1/auth/me"]') });
  await operation.locator(".opblock-summary-control").click();
  await operation.getByRole("button", { name: "Execute" }).click();
  const answer = operation.locator(".live-responses-table .response").first();
  await answer.waitFor();

  assert.match(await answer.locator(".response-col_status").innerText(), /^200/);
  const body = await answer.locator(".response-col_description").innerText();
  assert.ok(body.includes(MASS_EMAIL), `the answer names the administrator:\n${body}`);
  assert.deepEqual(strayRequests, []);
  assert.deepEqual(complaints, []);

  if (SCREENSHOT) {
    await page.evaluate(() => window.scrollTo(0, 0));
    await page.screenshot({ path: SCREENSHOT });
  }
});
