// A line without axes, for a cell of a table.
import { html } from "../core/view.js";

/**
 * @param {{ buckets: import("./series.js").Bucket[], from: number, to: number, label: string }} properties
 */
export function Spark({ buckets, from, to, label }) {
  const values = buckets.map(({ value }) => value).filter((value) => value !== null && value !== undefined);
  if (values.length < 2) return null;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  let path = "";
  let end = 0;
  for (const { begin, end: until, value } of buckets) {
    if (value === null || value === undefined) continue;
    const at = Date.parse(begin);
    const x = ((at / 1000 - from) / (to - from)) * 118 + 1;
    const y = high === low ? 14 : 25 - ((value - low) / (high - low)) * 22;
    path += `${end === 0 || at - end > 1000 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    end = Date.parse(until);
  }
  return html`<svg class="spark" viewBox="0 0 120 28" role="img" aria-label=${label}><path d=${path} /></svg>`;
}
