// Opens `mass demo` in a real Chromium. Needs a demo (scripts/with-server --demo) and CHROMIUM, the browser's path.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { PATIENCE, browser, logIn, look, open, visit } from "./visitor.mjs";

after(() => browser.close());

for (const variant of ["es-1280-light", "en-390-dark"]) {
  test(`${variant}: a viewer finds a whole pilot in the demo`, { timeout: PATIENCE }, async () => {
    const opened = await open(variant);
    const { page, context, t, strays, complaints } = opened;
    await logIn(opened, "viewer@mass.local");
    await page.locator(".site-card").nth(1).waitFor();
    assert.deepEqual(await page.locator(".site-card h2").allInnerTexts(), ["getafe-1", "tampa-1"]);
    await look(opened, "demo-overview");

    await visit(opened, "/sites/getafe-1");
    await page.locator(".chart canvas").nth(2).waitFor();
    const part = page.getByRole("slider", { name: t("brush") });
    const before = await part.getAttribute("aria-valuetext");
    await part.press("ArrowLeft");
    await page.waitForFunction((before) => document.querySelector(".brush").getAttribute("aria-valuetext") !== before, before);
    await page.locator(".chart canvas").nth(2).waitFor();
    await look(opened, "demo-site");
    // The charts follow the shown part while it is dragged; nothing is asked for until it is dropped.
    const picture = () => page.locator(".chart canvas").first().evaluate((canvas) => canvas.toDataURL());
    const still = await picture();
    const asked = [];
    page.on("request", (request) => request.url().includes("/v1/") && asked.push(request.url()));
    const [{ x, y, width, height }, shown] = [await part.boundingBox(), await page.locator(".brush .part").boundingBox()];
    await page.mouse.move(shown.x + shown.width / 2, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(Math.max(x, shown.x - width / 40), y + height / 2, { steps: 4 });
    await page.waitForFunction((still) => document.querySelector(".chart canvas").toDataURL() !== still, still);
    assert.deepEqual(asked, []);
    await page.mouse.up();
    await page.waitForRequest((request) => request.url().includes("/v1/analytics/series"));
    await page.locator(".chart canvas").nth(2).waitFor();
    await visit(opened, "/sites/tampa-1");
    await page.getByText(t("chart.marks", { count: 14 })).waitFor();
    await look(opened, "demo-site-reports");

    await visit(opened, "/pilot");
    await page.getByRole("link", { name: "Ventiladores: crossover" }).click();
    await page.locator(".days li").first().waitFor();
    assert.equal(await page.locator(".days button").count(), 0, "a viewer confirms no day");
    await look(opened, "demo-project");
    await page.locator("tbody a").first().click();
    await page.getByText(t("standing.claimed"), { exact: true }).waitFor();
    await look(opened, "demo-report");
    const [paper] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "PDF" }).click()]);
    assert.match(paper.suggestedFilename(), /^report-.*\.pdf$/);
    assert.deepEqual(strays, []);
    assert.deepEqual(complaints, []);
    await context.close();
  });
}
