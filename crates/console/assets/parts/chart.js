// A chart of series over time, drawn by uPlot.
import uPlot from "../vendor/uplot.js";
import { isDark, language, locale } from "../core/choices.js";
import { instant, number } from "../core/format.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../core/view.js";
import { aligned } from "./series.js";
import { Tiles } from "./tiles.js";

/** @param {string} name */
const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A number for each set of values, by which a chart knows them again without reading them. @type {WeakMap<object, number>} */
const known = new WeakMap();
let count = 0;

/** @param {object} values */
function numberOf(values) {
  const found = known.get(values) ?? (count += 1);
  known.set(values, found);
  return found;
}

/** Text of the axes, in the size of the page. */
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';

/**
 * With `band`, the first two lines are the edges of one.
 * @param {{ lines: import("./series.js").Line[], height?: number, label: string, unit?: string, areInstants?: boolean, from?: number,
 *   to?: number, fill?: boolean, zero?: boolean, marks?: { at: number, words: string }[],
 *   onZoom?: (from: number, to: number) => void, sync?: string, band?: boolean }} properties
 */
export function Chart(properties) {
  const { lines, label, height = 260, areInstants, onZoom } = properties;
  const place = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [at, setAt] = useState(/** @type {number | null} */ (null));
  const zoom = useRef(onZoom);
  zoom.current = onZoom;
  const dark = isDark();
  const tongue = language.value;
  const shown = JSON.stringify([lines.map((line) => [line.label, numberOf(line.values)]), areInstants]);
  const data = useMemo(() => aligned(lines, areInstants), [shown]);
  const key = JSON.stringify([shown, properties.from, properties.to, properties.marks, height]);
  useLayoutEffect(() => {
    const target = place.current;
    if (!target) return undefined;
    const plot = new uPlot(options(properties, data, target.clientWidth, setAt, zoom), /** @type {any} */ (data), target);
    const watch = new ResizeObserver(() => {
      if (target.clientWidth !== plot.width && target.clientWidth !== 0) plot.setSize({ width: target.clientWidth, height });
    });
    watch.observe(target);
    const leave = properties.sync ? join(properties.sync, (from, until) => plot.setScale("x", { min: from, max: until })) : () => {};
    return () => {
      leave();
      watch.disconnect();
      plot.destroy();
    };
  }, [key, dark, tongue]);
  useEffect(() => setAt(null), [key]);
  return html`<figure class="chart">
    <${Legend} lines=${lines} data=${data} at=${at} />
    <div ref=${place} role="img" aria-label=${label} style=${{ minHeight: `${height}px` }}></div>
  </figure>`;
}

/** What moves the shown part of a group of charts. @type {Map<string, Set<(from: number, until: number) => void>>} */
const groups = new Map();

/** @param {string} group @param {(from: number, until: number) => void} show */
function join(group, show) {
  const members = groups.get(group) ?? new Set();
  groups.set(group, members.add(show));
  return () => members.delete(show);
}

/**
 * Moves the shown part of all charts of a group, within what they have loaded.
 * @param {string} group
 * @param {number} from seconds
 * @param {number} until seconds
 */
export const pan = (group, from, until) => groups.get(group)?.forEach((show) => show(from, until));

/**
 * Returns the extent of the vertical axis: that of all values, so that it stays while the chart is moved.
 * @param {(number | null)[][]} lines
 * @param {boolean} zero
 */
function extent(lines, zero) {
  let [low, high] = [Infinity, -Infinity];
  for (const line of lines) {
    for (const value of line) {
      if (value === null) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return limits(low, high, zero);
}

/**
 * @param {Parameters<typeof Chart>[0]} properties
 * @param {ReturnType<typeof aligned>} data
 * @param {number} width
 * @param {(at: number | null) => void} setAt
 * @param {{ current: ((from: number, to: number) => void) | undefined }} zoom
 * @returns {uPlot.Options}
 */
function options(properties, data, width, setAt, zoom) {
  const { lines, height = 260, unit = "", from, to, fill, zero, marks = [], sync } = properties;
  const [xs, ...values] = data;
  const grid = { stroke: ink("line"), width: 1 };
  const axis = { stroke: ink("ink-2"), font: FONT, grid, ticks: { show: false } };
  const known = [xs[0], xs.at(-1)];
  /** The whole of what is loaded is shown as the period that was asked for. @type {uPlot.Range.Function} */
  const range = (_plot, low, high) => (low === known[0] && high === known[1] ? [from ?? low - Number(low === high), to ?? high + Number(low === high)] : [low, high]);
  const [low, high] = extent(values, zero ?? false);
  const tiles = new Tiles({ xs, lines: values, pens: lines.map((line, index) => ({
    stroke: ink(line.color), width: 1.75, ...(line.dash ? { dash: line.dash } : {}),
    ...(properties.band && index === 0 ? { fill: `${ink("c2")}26`, isUpperEdge: true } : fill && index === 0 ? { fill: `${ink(line.color)}1f` } : {}),
  })) });
  return {
    width, height, legend: { show: false }, padding: [12, 24, 0, 0],
    cursor: { drag: { x: zoom.current !== undefined, y: false, setScale: false }, points: { size: 7 }, ...(sync ? { sync: { key: sync } } : {}) },
    scales: { x: { time: true, range }, y: { range: [low, high] } },
    axes: [
      { ...axis, grid: { show: false }, space: 70, size: 28, values: timeTicks() },
      { ...axis, size: 62, values: (_plot, ticks) => ticks.map((tick) => number(tick, digits(ticks))), label: unit || " ", labelSize: 18, labelFont: FONT, labelGap: 0 },
    ],
    series: [{}, ...lines.map((line) => ({ stroke: ink(line.color), paths: () => null, points: { show: line.values.size < 3 } }))],
    hooks: {
      setCursor: [(plot) => setAt(plot.cursor.idx ?? null)],
      setSelect: [(plot) => {
        if (plot.select.width < 4 || !zoom.current) return;
        zoom.current(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"));
      }],
      drawAxes: [(plot) => {
        const { min, max } = plot.scales.x ?? {};
        if (min !== undefined && max !== undefined) tiles.draw(plot.ctx, plot.bbox, { from: min, until: max, low, high }, uPlot.pxRatio);
      }],
      draw: [(plot) => drawMarks(plot, marks)],
    },
  };
}

/** @param {number[]} ticks */
function digits(ticks) {
  const step = Math.abs((ticks[1] ?? 1) - (ticks[0] ?? 0));
  // Ticks are 1, 2, 2.5 or 5 apart, times a power of ten.
  const exact = [0, 1, 2, 3].find((places) => Math.abs(step * 10 ** places - Math.round(step * 10 ** places)) < 1e-6);
  return exact ?? 4;
}

/** @param {number} low @param {number} high @param {boolean} zero @returns {[number, number]} */
function limits(low, high, zero) {
  if (low === null || high === null || !Number.isFinite(low)) return [0, 1];
  const bottom = zero ? Math.min(0, low) : low;
  const room = (high - bottom || Math.abs(high) || 1) * 0.08;
  return [zero && bottom === 0 ? 0 : bottom - room, high + room];
}

function timeTicks() {
  /** @param {Intl.DateTimeFormatOptions} form */
  const format = (form) => new Intl.DateTimeFormat(locale(), form);
  const [clock, date, month] = [format({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }), format({ day: "numeric", month: "short" }), format({ month: "short", year: "numeric" })];
  /** @param {uPlot} _plot @param {number[]} ticks @param {number} _axis @param {number} _space @param {number} step */
  return (_plot, ticks, _axis, _space, step) => ticks.map((tick, index) => {
    const at = new Date(tick * 1000);
    if (step >= 28 * 86_400) return month.format(at);
    if (step >= 86_400) return date.format(at);
    const today = date.format(at);
    const before = index > 0 ? date.format(new Date(/** @type {number} */ (ticks[index - 1]) * 1000)) : "";
    return today === before ? clock.format(at) : index === 0 && clock.format(at) !== "00:00" ? clock.format(at) : today;
  });
}

/**
 * @param {uPlot} plot
 * @param {{ at: number, words: string }[]} marks
 */
function drawMarks(plot, marks) {
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = ink("c5");
  ctx.fillStyle = ink("c5");
  for (const { at } of marks) {
    const x = Math.round(plot.valToPos(at, "x", true));
    if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
    ctx.setLineDash([3, 3]);
    ctx.beginPath();
    ctx.moveTo(x, plot.bbox.top);
    ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.arc(x, plot.bbox.top + 5, 5, 0, 7);
    ctx.fill();
  }
  ctx.restore();
}

/** @param {{ lines: import("./series.js").Line[], data: ReturnType<typeof aligned>, at: number | null }} properties */
function Legend({ lines, data: [xs, ...values], at }) {
  const seconds = at === null ? undefined : xs[at];
  const when = seconds === undefined ? "" : instant(seconds * 1000);
  return html`<figcaption class="legend">
    ${lines.map((line, index) => html`<span key=${line.label}>
      <svg viewBox="0 0 20 8" aria-hidden="true"><line x1="0" y1="4" x2="20" y2="4" stroke=${`var(--${line.color})`} stroke-width="3"
        stroke-dasharray=${line.dash ? "4 3" : null} /></svg>${line.label}
      ${at !== null && html`<b>${number(values[index]?.[at] ?? null)} ${line.unit}</b>`}</span>`)}
    ${when && html`<span>${when}</span>`}
  </figcaption>`;
}
