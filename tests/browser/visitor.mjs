// A Chromium that visits the console as its users do: shared by the tests, the picture and the measurements.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const { CHROMIUM, MASS_URL, SCREENSHOTS } = process.env;
export const { MASS_EMAIL, MASS_PASSWORD, MASS_TOKEN } = process.env;
export { MASS_URL };

// Far above what a machine takes that compiles and tests beside: nothing here is about time.
export const PATIENCE = 900_000;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] };
// A page that was looked at is the same in other languages, themes and widths but for these.
const LOOKS = { type: "rule", values: ["color-contrast", "target-size", "scrollable-region-focusable"] };

/** The names of the pages that axe-core went through. */
const seen = new Set();

/** The words of the console, by language. */
export const words = {};
for (const language of ["en", "es"]) {
  words[language] = (await import(`../../crates/console/assets/words/${language}.js`)).default;
}

export const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/** Opens a page that keeps what it must not do. */
export async function open(variant) {
  const [language, width, theme] = variant.split("-");
  const context = await browser.newContext({
    viewport: { width: Number(width), height: 844 }, colorScheme: theme, locale: language === "es" ? "es-ES" : "en-GB",
    timezoneId: "Europe/Madrid", reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const strays = [];
  const complaints = [];
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (!["data:", "blob:"].includes(protocol) && origin !== MASS_URL) strays.push(request.url());
  });
  // A violation of the content security policy is a console error as well.
  const listen = (page) => {
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
  };
  listen(page);
  const t = (key, values = {}) => words[language][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  return { variant, context, page, t, strays, complaints, listen };
}

/** Finds nothing that shuts somebody out, nothing that is cut off, and keeps a picture. */
export async function look({ page, variant }, name) {
  await page.waitForFunction(() => !document.querySelector(".skeleton, [aria-busy=true]"));
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(AXE);
  const violations = await page.evaluate(async (runOnly) => {
    const { violations } = await globalThis.axe.run({ runOnly, resultTypes: ["violations"] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`);
  }, seen.has(name) ? LOOKS : RULES);
  seen.add(name);
  assert.deepEqual(violations, [], `${name} in ${variant}`);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${name} in ${variant} is ${overflow} px too wide`);
  if (SCREENSHOTS) {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: `${SCREENSHOTS}/${name}-${variant}.png`, fullPage: true });
  }
}

/** Logs in, on the page that asks for it or from elsewhere. */
export async function logIn({ page, t }, email = MASS_EMAIL) {
  if (!page.url().startsWith(MASS_URL)) await page.goto(`${MASS_URL}/`);
  await page.getByLabel(t("email")).fill(email);
  await page.getByLabel(t("password")).fill(MASS_PASSWORD);
  await page.getByRole("button", { name: t("log.in") }).click();
  await page.locator(".shell").waitFor();
}

/** Goes to an address of the console. */
export const visit = ({ page }, hash) => page.evaluate((hash) => { location.hash = hash; }, hash);
