"""Line charts as SVG, by hand: small files that can be read in a diff, and follow a dark page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 26, 40
LEGEND = 190, 22
COLOURS = ["#0969da", "#cf222e", "#bc4c00", "#8250df", "#1a7f37", "#bf3989"]
LOOKS = """<style>
text { font: 11px system-ui, sans-serif; fill: #57606a } .title { font-weight: 600; fill: #24292f }
path { fill: none; stroke-width: 2 } .grid { stroke: #8888; stroke-width: .5 }
.dashed { stroke-dasharray: 5 4; stroke: #888 }
@media (prefers-color-scheme: dark) { text { fill: #9198a1 } .title { fill: #e6edf3 } }
</style>"""

Points = Sequence[tuple[float, float]]


@dataclass(slots=True)
class Chart:
    """One chart.

    Attributes:
        title: what it shows.
        x, y: what stands at the axes, with units.
        lines: points by name; the first is drawn on top.
        dashed: lines that are no measurement, such as what is allowed.
        logarithmic: whether both axes are.
    """

    title: str
    x: str
    y: str
    lines: dict[str, Points]
    dashed: dict[str, Points] = field(default_factory=dict)
    logarithmic: bool = False


def svg(charts: Sequence[Chart], columns: int = 2) -> str:
    """Returns a picture of all charts, row by row. A line's colour is its name's in all of them."""
    names = list(dict.fromkeys(name for chart in charts for name in chart.lines))
    colours = dict(zip(names, COLOURS, strict=False))
    width, per_row = columns * WIDTH, (columns * WIDTH - LEFT) // LEGEND[0]
    top = -(-len(names) // per_row) * LEGEND[1] + 4
    height = top + -(-len(charts) // columns) * HEIGHT
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">', LOOKS]
    for number, name in enumerate(names):
        x, y = LEFT + LEGEND[0] * (number % per_row), 12 + LEGEND[1] * (number // per_row)
        parts.append(f'<path d="M{x} {y}h22" stroke="{colours[name]}"/><text x="{x + 28}" y="{y + 4}">{escape(name)}</text>')
    for index, chart in enumerate(charts):
        place = f"{index % columns * WIDTH} {index // columns * HEIGHT + top}"
        parts += [f'<g transform="translate({place})">', *_drawn(chart, colours), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _drawn(chart: Chart, colours: dict[str, str]) -> list[str]:
    points = [point for line in (*chart.lines.values(), *chart.dashed.values()) for point in line]
    across, up = (_Axis([point[axis] for point in points], logarithmic=chart.logarithmic) for axis in (0, 1))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(x: float, y: float) -> str:
        return f"{LEFT + across.place(x) * (right - LEFT):.1f} {bottom - up.place(y) * (bottom - TOP):.1f}"

    def path(line: Points) -> str:
        return "M" + "L".join(place(*point) for point in line)

    parts = [f'<text class="title" x="{LEFT}" y="16">{escape(chart.title)}</text>']
    for value, label in up.ticks():
        y = bottom - up.place(value) * (bottom - TOP)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for value, label in across.ticks():
        x = LEFT + across.place(value) * (right - LEFT)
        parts.append(f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{label}</text>')
    parts.append(f'<text x="{(LEFT + right) / 2:.0f}" y="{bottom + 32}" text-anchor="middle">{escape(chart.x)}</text>')
    middle = f"{-(TOP + bottom) / 2:.0f}"
    parts.append(f'<text x="{middle}" y="12" transform="rotate(-90)" text-anchor="middle">{escape(chart.y)}</text>')
    parts += [f'<path class="dashed" d="{path(line)}"/>' for line in chart.dashed.values()]
    parts += [f'<path stroke="{colours[name]}" d="{path(line)}"/>' for name, line in reversed(chart.lines.items())]
    return parts


class _Axis:
    """Where values stand on an axis, from 0 to 1; a linear one begins at 0."""

    def __init__(self, values: list[float], *, logarithmic: bool) -> None:
        self._logarithmic = logarithmic
        self._low = math.floor(math.log10(min(values))) if logarithmic else 0.0
        self._high = math.ceil(math.log10(max(values))) if logarithmic else max(values)

    def place(self, value: float) -> float:
        """Returns where a value stands."""
        return ((math.log10(value) if self._logarithmic else value) - self._low) / ((self._high - self._low) or 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Returns values to be named, with their names: powers of ten, or about five round ones."""
        if self._logarithmic:
            step = -(-(int(self._high) - int(self._low)) // 7)
            return [(10.0**power, short(10.0**power)) for power in range(int(self._low), int(self._high) + 1, step)]
        step = 10 ** math.floor(math.log10(self._high / 2))
        step *= next(factor for factor in (1, 2, 5, 10) if self._high / (step * factor) <= 5)
        return [(step * count, f"{step * count:g}") for count in range(int(self._high / step) + 1)]


def short(value: float) -> str:
    """Returns a number with the prefixes of the SI, as in 10k or 100µ."""
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ")):
        if value >= size * 0.999:
            return f"{value / size:g}{prefix}"
    return f"{value:g}"
