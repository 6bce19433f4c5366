// Lines of a chart as bitmaps. Stroking a line of thousands of points takes several frames without a graphics processor;
// as long as the scale stays the same, moving the chart only moves what is drawn already.

/**
 * @typedef {{ stroke: string, width: number, dash?: number[], fill?: string, isUpperEdge?: boolean }} Pen widths in pixels of the page;
 *   with `isUpperEdge`, the fill goes down to the next line instead of the foot
 * @typedef {{ xs: ArrayLike<number>, lines: ArrayLike<number | null>[], pens: Pen[] }} Drawing
 * @typedef {{ left: number, top: number, width: number, height: number }} Box in pixels of the device
 * @typedef {{ from: number, until: number, low: number, high: number }} View the shown part in the units of the axes
 * @typedef {{ xs: number[], ys: number[], along: number[] }} Trace the points of a line in pixels; where it breaks, y is NaN
 */

/** The width of a bitmap, in pixels of the device. */
const TILE = 128;

/** The most points of a line in one column of pixels: its first, least, greatest and last. */
const MOST = 4;

/** Scales that differ by less are the same: their quotient differs from 1 by rounding alone. */
const SAME = 1e-9;

/** Keeps the bitmaps of a drawing. */
export class Tiles {
  /** @param {Drawing} drawing */
  constructor(drawing) {
    this.drawing = drawing;
    this.scale = 0;
    this.shape = "";
    /** @type {Trace[]} */
    this.traces = [];
    this.foot = 0;
    this.ratio = 1;
    /** @type {Map<number, HTMLCanvasElement>} */
    this.kept = new Map();
  }

  /**
   * Draws the shown part into a box.
   * @param {CanvasRenderingContext2D} context
   * @param {Box} box
   * @param {View} view
   * @param {number} ratio pixels of the device in one of the page
   */
  draw(context, box, view, ratio) {
    const [origin] = [this.drawing.xs[0]];
    if (origin === undefined || !(view.until > view.from) || box.width < 1 || box.height < 1) return;
    this.fit(box, view, ratio);
    const shift = Math.round((view.from - origin) * this.scale);
    const first = Math.floor(shift / TILE);
    const last = Math.floor((shift + box.width - 1) / TILE);
    context.save();
    context.beginPath();
    context.rect(box.left, box.top, box.width, box.height);
    context.clip();
    for (let place = first; place <= last; place += 1) {
      const tile = this.tile(place, box.height);
      if (tile) context.drawImage(tile, box.left + place * TILE - shift, box.top);
    }
    context.restore();
    this.forget(first, last);
  }

  /**
   * Places all points anew if the scale is another one.
   * @param {Box} box
   * @param {View} view
   * @param {number} ratio
   */
  fit(box, { from, until, low, high }, ratio) {
    const scale = box.width / (until - from);
    const shape = [low, high, box.height, ratio].join(" ");
    if (shape === this.shape && Math.abs(scale / this.scale - 1) < SAME) return;
    this.kept.clear();
    [this.scale, this.shape, this.ratio] = [scale, shape, ratio];
    const perUnit = box.height / (high - low);
    const y = (/** @type {number} */ value) => (high - value) * perUnit;
    const { xs, lines, pens } = this.drawing;
    this.foot = Math.min(box.height, Math.max(0, y(0)));
    this.traces = lines.map((line, index) => trace(xs, line, scale, y, Boolean(pens[index]?.dash)));
  }

  /**
   * Returns the bitmap of a place, or null beyond all points.
   * @param {number} place
   * @param {number} height
   */
  tile(place, height) {
    const kept = this.kept.get(place);
    if (kept) return kept;
    const parts = this.traces.map((line) => part(line, place * TILE, this.ratio * 4));
    if (parts.every(([begin, end]) => begin >= end)) return null;
    const canvas = document.createElement("canvas");
    canvas.width = TILE;
    canvas.height = height;
    const context = canvas.getContext("2d");
    if (!context) return null;
    context.translate(-place * TILE, 0);
    this.drawing.pens.forEach((pen, index) => pen.fill && fill(context, this, index, parts));
    parts.forEach((part, index) => stroke(context, this, index, part));
    this.kept.set(place, canvas);
    return canvas;
  }

  /** Forgets bitmaps that are far from the shown ones. @param {number} first @param {number} last */
  forget(first, last) {
    const most = 4 * (last - first + 1) + 8;
    if (this.kept.size <= most) return;
    const middle = (first + last) / 2;
    const far = [...this.kept.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const place of far.slice(0, this.kept.size - most)) this.kept.delete(place);
  }
}

/**
 * Places a line's points: of each column of pixels the few that its ink depends on.
 * @param {ArrayLike<number>} xs
 * @param {ArrayLike<number | null>} values
 * @param {number} scale pixels for a unit of x
 * @param {(value: number) => number} y
 * @param {boolean} isDashed dashes go on from bitmap to bitmap by the length of the line before
 * @returns {Trace}
 */
export function trace(xs, values, scale, y, isDashed) {
  /** @type {Trace} */
  const line = { xs: [], ys: [], along: [] };
  const origin = xs[0] ?? 0;
  let length = 0;
  const add = (/** @type {number} */ px, /** @type {number} */ py) => {
    if (isDashed) {
      const before = line.ys.length - 1;
      const step = before < 0 ? NaN : Math.hypot(px - /** @type {number} */ (line.xs[before]), py - /** @type {number} */ (line.ys[before]));
      length = Number.isFinite(step) ? length + step : 0;
      line.along.push(length);
    }
    line.xs.push(px);
    line.ys.push(py);
  };
  const addAt = (/** @type {number} */ index) => add((/** @type {number} */ (xs[index]) - origin) * scale, y(/** @type {number} */ (values[index])));
  const count = xs.length;
  for (let index = 0; index < count;) {
    if (values[index] === null || values[index] === undefined) {
      add((/** @type {number} */ (xs[index]) - origin) * scale, NaN);
      index += 1;
      continue;
    }
    const edge = Math.floor((/** @type {number} */ (xs[index]) - origin) * scale) + 1;
    let [least, greatest, end] = [index, index, index + 1];
    for (; end < count && (/** @type {number} */ (xs[end]) - origin) * scale < edge; end += 1) {
      const value = values[end];
      if (value === null || value === undefined) break;
      if (value < /** @type {number} */ (values[least])) least = end;
      if (value > /** @type {number} */ (values[greatest])) greatest = end;
    }
    if (end - index <= MOST) for (let at = index; at < end; at += 1) addAt(at);
    else for (const at of new Set([index, Math.min(least, greatest), Math.max(least, greatest), end - 1])) addAt(at);
    index = end;
  }
  return line;
}

/**
 * Returns the points that a bitmap shows, with one beyond each of its edges.
 * @param {Trace} line
 * @param {number} left
 * @param {number} margin
 * @returns {[number, number]}
 */
function part({ xs }, left, margin) {
  const begin = firstFrom(xs, left - margin);
  const end = firstFrom(xs, left + TILE + margin);
  if (begin === xs.length || end === 0) return [0, 0];
  return [Math.max(0, begin - 1), Math.min(xs.length, end + 1)];
}

/** @param {number[]} xs @param {number} least */
function firstFrom(xs, least) {
  let [low, high] = [0, xs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (/** @type {number} */ (xs[middle]) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Calls back with the begin and end of each unbroken stretch.
 * @param {Trace} line
 * @param {[number, number]} part
 * @param {(begin: number, end: number) => void} each
 */
function stretches({ ys }, [begin, end], each) {
  for (let at = begin; at < end; at += 1) {
    if (Number.isNaN(ys[at])) continue;
    let stop = at + 1;
    while (stop < end && !Number.isNaN(ys[stop])) stop += 1;
    each(at, stop);
    at = stop;
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Tiles} tiles
 * @param {number} index
 * @param {[number, number]} part
 */
function stroke(context, { traces, drawing, ratio }, index, part) {
  const line = /** @type {Trace} */ (traces[index]);
  const pen = /** @type {Pen} */ (drawing.pens[index]);
  const { xs, ys, along } = line;
  context.strokeStyle = pen.stroke;
  context.lineWidth = pen.width * ratio;
  context.lineJoin = "bevel";
  context.setLineDash((pen.dash ?? []).map((length) => length * ratio));
  context.beginPath();
  stretches(line, part, (begin, end) => {
    const [x, y] = [/** @type {number} */ (xs[begin]), /** @type {number} */ (ys[begin])];
    // A value between two gaps has no line; it is shown as a dash.
    context.moveTo(end - begin === 1 ? x - context.lineWidth / 2 : x, y);
    if (end - begin === 1) context.lineTo(x + context.lineWidth / 2, y);
    for (let at = begin + 1; at < end; at += 1) context.lineTo(/** @type {number} */ (xs[at]), /** @type {number} */ (ys[at]));
    if (!pen.dash) return;
    context.lineDashOffset = along[begin] ?? 0;
    context.stroke();
    context.beginPath();
  });
  context.stroke();
  context.lineDashOffset = 0;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Tiles} tiles
 * @param {number} index
 * @param {[number, number][]} parts
 */
function fill(context, { traces, drawing, foot }, index, parts) {
  const line = /** @type {Trace} */ (traces[index]);
  const pen = /** @type {Pen} */ (drawing.pens[index]);
  const below = pen.isUpperEdge ? traces[index + 1] : undefined;
  context.fillStyle = pen.fill ?? "";
  stretches(line, /** @type {[number, number]} */ (parts[index]), (begin, end) => {
    context.beginPath();
    for (let at = begin; at < end; at += 1) context.lineTo(/** @type {number} */ (line.xs[at]), /** @type {number} */ (line.ys[at]));
    const [left, right] = [/** @type {number} */ (line.xs[begin]), /** @type {number} */ (line.xs[end - 1])];
    if (below) {
      for (let at = below.xs.length - 1; at >= 0; at -= 1) {
        const [x, y] = [/** @type {number} */ (below.xs[at]), /** @type {number} */ (below.ys[at])];
        if (x >= left && x <= right && !Number.isNaN(y)) context.lineTo(x, y);
      }
    } else {
      context.lineTo(right, foot);
      context.lineTo(left, foot);
    }
    context.fill();
  });
}
