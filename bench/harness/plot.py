"""Line charts as SVG."""

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 80, 190, 50, 60
COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b"]


def lines(title, x_label, y_label, series, *, log_y=False):
    """A chart of {name: [(x, y, low, high)]}, whose x axis is logarithmic; low and high are the spread."""
    xs = sorted({point[0] for points in series.values() for point in points})
    highest = max(point[3] for points in series.values() for point in points)
    lowest = min(point[2] for points in series.values() for point in points)
    bottom, top, ticks = _axis(lowest, highest, log_y)

    def across(x):
        span = math.log(xs[-1] / xs[0]) or 1
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(x / xs[0]) / span)

    def up(y):
        part = math.log(y / bottom) / math.log(top / bottom) if log_y else (y - bottom) / (top - bottom)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="13">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           _text(LEFT, 28, title, size=16), _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 15, x_label, "middle"),
           _text(LEFT, TOP - 8, y_label, colour="#555")]
    for tick in ticks:
        out.append(f'<path d="M{LEFT} {up(tick):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        out.append(_text(LEFT - 8, up(tick) + 4, f"{tick:,.10g}", "end"))
    for x in xs:
        out.append(f'<path d="M{across(x):.1f} {HEIGHT - BOTTOM}v6" stroke="#555"/>')
        out.append(_text(across(x), HEIGHT - BOTTOM + 22, f"{x:,}", "middle"))
    for index, (name, points) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y, _, _ in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y, low, high in points:
            out.append(f'<path d="M{across(x):.1f} {up(low):.1f}V{up(high):.1f}" stroke="{colour}"/>')
            out.append(f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3.5" fill="{colour}"/>')
        place = TOP + 20 + 22 * index
        out.append(f'<path d="M{WIDTH - RIGHT + 15} {place}h22" stroke="{colour}" stroke-width="3"/>')
        out.append(_text(WIDTH - RIGHT + 43, place + 4, name))
    return "\n".join([*out, "</svg>", ""])


def _axis(lowest, highest, log_y):
    if log_y:
        first, last = math.floor(math.log10(max(lowest, 1e-3))), math.ceil(math.log10(highest))
        ticks = [10.0**power for power in range(first, max(last, first + 1) + 1)]
        return ticks[0], ticks[-1], ticks
    step = 10 ** math.floor(math.log10(highest or 1))
    step = next(part for part in (step / 5, step / 2, step, step * 2) if highest / part <= 6)
    count = math.ceil(highest / step)
    return 0, count * step, [number * step for number in range(count + 1)]


def _text(x, y, text, anchor="start", size=13, colour="black"):
    style = f'text-anchor="{anchor}" font-size="{size}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
