// Measures the console on a demo (bench/console/run), and prints a JSON object for each figure.
import { MASS_URL, browser, logIn, open, visit } from "../../tests/browser/visitor.mjs";

const ROUNDS = 3;
const CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline", "disabled-by-default-devtools.timeline.frame", "loading", "blink.user_timing"];
const YEAR = 365 * 24;

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const print = (what, unit, values, bar) =>
  console.log(JSON.stringify({ what, unit, bar, median: median(values), least: Math.min(...values), greatest: Math.max(...values) }));

/** Does something while Chromium traces the page, and returns the events of the trace. */
async function traced(page, work) {
  await browser.startTracing(page, { categories: CATEGORIES });
  await work();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  return traceEvents;
}

/** The instant of a mark of the trace in ms after the navigation began. */
function sinceNavigation(events, isMark) {
  const begin = events.filter(({ name }) => name === "navigationStart").at(-1)?.ts;
  return (events.filter(isMark).at(-1)?.ts - begin) / 1000;
}

const shifts = (events) => events.filter(({ name }) => name === "LayoutShift").reduce((sum, { args }) => sum + args.data.score, 0);

/** Opens the console anew with a processor that is four times as slow, until somebody can use it. */
async function startUp(opened, useful) {
  const { page, context } = opened;
  const session = await context.newCDPSession(page);
  const times = [];
  const moved = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await session.send("Emulation.setCPUThrottlingRate", { rate: 4 });
    const events = await traced(page, async () => {
      await page.goto("about:blank");
      await page.goto(`${MASS_URL}/`, { waitUntil: "commit" });
      await page.locator(useful).first().waitFor();
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => { performance.mark("useful"); setTimeout(resolve, 300); })));
    });
    await session.send("Emulation.setCPUThrottlingRate", { rate: 1 });
    times.push(sinceNavigation(events, ({ name }) => name === "useful"));
    moved.push(shifts(events));
  }
  return { times, moved };
}

/** Draws lines by the console's own chart, in its page, and returns what it took. */
const draw = (page, count, points) => page.evaluate(async ([count, points]) => {
  const folder = document.querySelector("script[type=module]").src.replace(/core\/main\.js$/, "");
  const [{ Chart }, { html, render }, { default: uPlot }] = await Promise.all(["parts/chart.js", "core/view.js", "vendor/uplot.js"].map((path) => import(folder + path)));
  const place = document.createElement("div");
  document.querySelector("main").replaceChildren(place);
  const begin = 1_700_000_000;
  const step = points > 10_000 ? 60 : 3600;
  const lines = Array.from({ length: count }, (_, line) => {
    const instants = Array.from({ length: points }, (_, index) => begin + index * step);
    return { label: `series ${line}`, unit: "kW", color: `c${(line % 6) + 1}`, ends: new Map(instants.map((at) => [at, at + step])),
      values: new Map(instants.map((at, index) => [at, 100 + 10 * line + 9 * Math.sin(index / 24) + 3 * Math.sin(index * 1.7 + line)])) };
  });
  const started = performance.now();
  render(html`<${Chart} lines=${lines} unit="kW" label="measured" height=${420} sync="measured" />`, place);
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const drawn = performance.now() - started;
  globalThis.plot = uPlot.sync("measured").plots.at(-1);
  return drawn;
}, [count, points]);

/** Moves the shown part of the chart with each frame, and returns the milliseconds between the frames. */
const pan = (page, share, count = 300) => page.evaluate(async ([share, count]) => {
  const plot = globalThis.plot;
  const [xs] = plot.data;
  const [low, high] = [xs[0], xs.at(-1)];
  const width = (high - low) * share;
  const frames = [];
  await new Promise((resolve) => {
    let last = performance.now();
    const frame = (now) => {
      frames.push(now - last);
      last = now;
      const at = low + (high - low - width) * (0.5 + 0.5 * Math.sin(frames.length / 40));
      plot.setScale("x", { min: at, max: at + width });
      if (frames.length < count) requestAnimationFrame(frame);
      else resolve();
    };
    requestAnimationFrame(frame);
  });
  return frames.slice(10);
}, [share, count]);

const drawnFrames = (events) => events.filter(({ name }) => name === "DrawFrame").map(({ ts }) => ts).sort((a, b) => a - b);

const opened = await open("en-1280-light");
const { page } = opened;
const entrance = await startUp(opened, "input[type=password]");
print("log-in page, processor 4 × slower", "ms until usable", entrance.times, 1000);
await logIn(opened);
await page.locator(".site-card").first().waitFor();
const overview = await startUp(opened, ".site-card strong");
print("overview with its figures, processor 4 × slower", "ms until usable", overview.times, 1000);
const moved = [...entrance.moved, ...overview.moved];
for (const [hash, useful] of [["/sites/getafe-1", ".chart canvas"], ["/devices", "tbody tr"], ["/requests", "tbody tr"], ["/pilot", "tbody tr"]]) {
  moved.push(shifts(await traced(page, async () => {
    await visit(opened, hash);
    await page.locator(useful).first().waitFor();
    await page.waitForFunction(() => !document.querySelector(".skeleton, [aria-busy=true]"));
    await page.waitForTimeout(300);
  })));
}
print("layout shift, worst page", "", [Math.max(...moved)], 0);

const firsts = [];
const medians = [];
const slowest = [];
const perSecond = [];
for (let round = 0; round < ROUNDS; round += 1) {
  firsts.push(await draw(page, 10, YEAR));
  let frames = [];
  const events = await traced(page, async () => (frames = await pan(page, 0.25)));
  medians.push(median(frames));
  slowest.push([...frames].sort((a, b) => a - b)[Math.floor(frames.length * 0.95)]);
  const drawn = drawnFrames(events);
  perSecond.push((drawn.length - 1) / ((drawn.at(-1) - drawn[0]) / 1e6));
}
print("10 series of a year of hours, first drawing", "ms", firsts);
print("10 series of a year of hours, panned by a quarter: frames", "a second", perSecond, 60);
print("10 series of a year of hours, panned: time between frames, median", "ms", medians);
print("10 series of a year of hours, panned: time between frames, p95", "ms", slowest);

const many = [];
const panned = [];
for (let round = 0; round < ROUNDS; round += 1) {
  many.push(await draw(page, 1, 500_000));
  panned.push(median(await pan(page, 0.25, 40)));
}
print("500,000 points, first drawing", "ms", many);
print("500,000 points, panned by a quarter: time between frames, median", "ms", panned);
await browser.close();
