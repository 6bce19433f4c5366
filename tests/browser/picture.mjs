// Takes the README's picture of the console: scripts/with-server --demo node tests/browser/picture.mjs docs/images/console.png
import { browser, logIn, open, visit } from "./visitor.mjs";

const [, , path] = process.argv;
const opened = await open("en-1280-light");
const { page } = opened;
await page.setViewportSize({ width: 1280, height: 860 });
await logIn(opened);
await visit(opened, "/sites/getafe-1");
await page.locator(".chart canvas").nth(1).waitFor();
await page.waitForFunction(() => !document.querySelector(".skeleton, [aria-busy=true]"));
await page.screenshot({ path });
await browser.close();
