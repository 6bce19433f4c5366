// The whole time of a series, with the part that the charts show: to be moved, and made longer or shorter.
import { instant } from "../core/format.js";
import { html, useRef, useState } from "../core/view.js";
import { t } from "../core/words.js";

/** The drawing's own measures, which are stretched to its place. */
const [WIDTH, HEIGHT] = [1000, 44];

/** How close to an edge a finger has to be to take it, in pixels. */
const GRIP = 12;

/** The shortest part, in seconds. */
const SHORTEST = 3600;

/** @typedef {{ from: number, until: number }} Part seconds */

/**
 * @param {{ values: Map<number, number | null>, ends: Map<number, number>, begin: number, end: number, from: number, until: number,
 *   onDrag: (from: number, until: number) => void, onMove: (from: number, until: number) => void }} properties
 */
export function Brush({ values, ends, begin, end, from, until, onDrag, onMove }) {
  const [draft, setPart] = useState(/** @type {Part | null} */ (null));
  const setDraft = (/** @type {Part | null} */ chosen) => {
    setPart(chosen);
    onDrag((chosen ?? { from }).from, (chosen ?? { until }).until);
  };
  const drag = useRef(/** @type {{ at: number, part: Part, edge: "from" | "until" | "both" } | null} */ (null));
  const part = draft ?? { from, until };
  const x = (/** @type {number} */ at) => Math.max(0, Math.min(WIDTH, ((at - begin) / (end - begin)) * WIDTH));
  const within = (/** @type {Part} */ { from, until }) => {
    const length = Math.min(until - from, end - begin);
    const first = Math.max(begin, Math.min(from, end - length));
    return { from: first, until: first + length };
  };
  const settle = (/** @type {Part} */ chosen) => onMove(chosen.from, chosen.until);

  /** @param {PointerEvent} event */
  const instantAt = (event) => {
    const { left, width } = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    return { at: begin + ((event.clientX - left) / width) * (end - begin), grip: (GRIP / width) * (end - begin) };
  };
  /** @param {PointerEvent} event */
  const take = (event) => {
    const { at, grip } = instantAt(event);
    const isAt = (/** @type {number} */ edge) => Math.abs(at - edge) < grip;
    const inside = at > part.from && at < part.until;
    const edge = isAt(part.from) ? "from" : isAt(part.until) ? "until" : "both";
    const width = part.until - part.from;
    const taken = edge === "both" && !inside ? within({ from: at - width / 2, until: at + width / 2 }) : part;
    /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
    drag.current = { at, part: taken, edge };
    setDraft(taken);
  };
  /** @param {PointerEvent} event */
  const move = (event) => {
    if (!drag.current) return;
    const { at, part: taken, edge } = drag.current;
    const by = instantAt(event).at - at;
    if (edge === "both") setDraft(within({ from: taken.from + by, until: taken.until + by }));
    else if (edge === "from") setDraft({ from: Math.max(begin, Math.min(taken.from + by, taken.until - SHORTEST)), until: taken.until });
    else setDraft({ from: taken.from, until: Math.min(end, Math.max(taken.until + by, taken.from + SHORTEST)) });
  };
  const drop = () => {
    const isMoved = drag.current && draft && (draft.from !== from || draft.until !== until);
    drag.current = null;
    if (!isMoved) return setDraft(null);
    setPart(null);
    return settle(draft);
  };
  const leave = () => {
    drag.current = null;
    setDraft(null);
  };
  /** @param {KeyboardEvent} event */
  const press = (event) => {
    const sign = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!sign) return;
    event.preventDefault();
    const step = (sign * (until - from)) / 4;
    settle(event.shiftKey ? { from, until: Math.min(end, Math.max(from + SHORTEST, until + step)) } : within({ from: from + step, until: until + step }));
  };
  const [left, right] = [x(part.from), x(part.until)];
  return html`<div class="brush" role="slider" tabindex="0" aria-label=${t("brush")} aria-description=${t("brush.hint")} title=${t("brush.hint")}
    aria-valuemin=${begin} aria-valuemax=${end} aria-valuenow=${Math.round((part.from + part.until) / 2)}
    aria-valuetext=${`${instant(part.from * 1000)} – ${instant(part.until * 1000)}`}
    onPointerDown=${take} onPointerMove=${move} onPointerUp=${drop} onPointerCancel=${leave} onKeyDown=${press}>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
      <path class="all" d=${area(values, ends, x)} />
      <rect class="rest" x="0" width=${left} height=${HEIGHT} /><rect class="rest" x=${right} width=${WIDTH - right} height=${HEIGHT} />
      <rect class="part" x=${left} width=${Math.max(2, right - left)} height=${HEIGHT} /></svg>
  </div>`;
}

/**
 * Draws values as an area whose foot is below the least, so that they differ; with gaps as gaps.
 * @param {Map<number, number | null>} values
 * @param {Map<number, number>} ends
 * @param {(at: number) => number} x
 */
function area(values, ends, x) {
  const known = [...values.values()].filter((value) => value !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const foot = least - (most - least || 1) * 0.7;
  return [...values].map(([at, value]) => {
    if (value === null) return "";
    const [left, right] = [x(at).toFixed(1), x(ends.get(at) ?? at).toFixed(1)];
    return `M${left} ${HEIGHT}V${(HEIGHT - ((value - foot) / (most - foot)) * (HEIGHT - 6)).toFixed(1)}H${right}V${HEIGHT}Z`;
  }).join("");
}
