"""The README's chart: what a delivery costs, one bar for each server and window, as an SVG of our own making.

It follows the reader's light or dark theme, names no fonts, and needs no script.
"""

from dataclasses import dataclass
from html import escape

from benchmarks.results import Cell, Results, ratio

PANELS = (("fanout-w1", "one message at a time"), ("fanout-w64", "bursts of 64 messages"))
REFERENCE = "tutorial"

WIDTH, MARGIN, LABELS, GAP = 900, 16, 270, 24
HEAD, LINE, BAR, FOOT = 74, 24, 14, 30
# Bars are to scale up to so many times the reference; longer ones are cut, and show it.
CUT = 2.0
FIGURE_WIDTH = 92
PANEL = (WIDTH - 2 * MARGIN - LABELS - GAP) / len(PANELS)

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 11px; fill: #59636e }
.title { font-size: 15px; font-weight: 600 }
.bar { fill: #afb8c1 } .ours { fill: #0969da } .floor { fill: none; stroke: #818b98; stroke-dasharray: 3 2 }
.cut { stroke: #fff; stroke-width: 3 }
.background { fill: #fff }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .small { fill: #9198a1 }
  .bar { fill: #59636e } .ours { fill: #4493f8 }
  .cut { stroke: #0d1117 } .background { fill: #0d1117 }
}
""".strip()


@dataclass(frozen=True, slots=True)
class Panel:
    """One column of bars."""

    title: str
    left: float
    cells: dict[str, Cell]  # by the server's name

    @property
    def full(self) -> float:
        """The value at which a bar has the panel's whole width."""
        reference = self.cells.get(REFERENCE)
        found = [cell.value for cell in self.cells.values() if cell.value is not None]
        if reference is not None and reference.value is not None:
            return min(max(found), CUT * reference.value)
        return max(found, default=1.0)


def chart(results: Results) -> str:
    """The chart of a run that had at least one of the two fan-out rows; without a figure it says so."""
    panels = _panels(results)
    names = _order(panels)
    height = HEAD + LINE * len(names) + FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-label="Server CPU for each delivery, in microseconds">',
        f"<style>{STYLE}</style>",
        f'<rect class="background" width="{WIDTH}" height="{height}" rx="6"/>',
        _text(MARGIN, 28, "Server CPU for each delivery: less is better", "title"),
        _text(
            MARGIN,
            46,
            "fan-out of 128 bytes to 1,000 members, one server process; times the tutorial's manager",
            "small",
        ),
    ]
    parts += [_text(panel.left, HEAD - 8, panel.title, "small") for panel in panels]
    for index, name in enumerate(names):
        parts += _line(panels, name, HEAD + LINE * index)
    note = "no figures in this run" if not names else "us = microseconds; a slanted cut: the bar goes on"
    parts += [_text(MARGIN, height - 11, note, "small"), "</svg>"]
    return "\n".join(parts) + "\n"


def _panels(results: Results) -> list[Panel]:
    panels = []
    for index, (row, title) in enumerate(PANELS):
        cells = {
            cell.server.name: cell
            for cell in results.cells
            if cell.row.name == row and cell.value is not None
        }
        panels.append(Panel(title, MARGIN + LABELS + index * (PANEL + GAP), cells))
    return panels


def _order(panels: list[Panel]) -> list[str]:
    """Servers with a figure, the cheapest at the first window on top."""
    names = dict.fromkeys(name for panel in panels for name in panel.cells)

    def cost(name: str) -> tuple[float, ...]:
        values = [panel.cells[name].value if name in panel.cells else None for panel in panels]
        return tuple(float("inf") if value is None else value for value in values)

    return sorted(names, key=cost)


def _line(panels: list[Panel], name: str, top: float) -> list[str]:
    title = next(panel.cells[name].server.title for panel in panels if name in panel.cells)
    parts = [_text(MARGIN, top + BAR - 2, title)]
    for panel in panels:
        cell = panel.cells.get(name)
        if cell is not None:
            parts += _bar(panel, cell, top)
    return parts


def _bar(panel: Panel, cell: Cell, top: float) -> list[str]:
    value = cell.value or 0.0
    room = PANEL - FIGURE_WIDTH
    length = max(1.0, room * min(1.0, value / panel.full))
    kind = (
        "floor"
        if cell.server.name == "floor"
        else "bar ours"
        if cell.server.name.startswith("hubbub")
        else "bar"
    )
    parts = [f'<rect class="{kind}" x="{panel.left:.1f}" y="{top}" width="{length:.1f}" height="{BAR}"/>']
    if value > panel.full:
        at = panel.left + length - 14
        parts.append(
            f'<line class="cut" x1="{at:.1f}" y1="{top + BAR + 1}" x2="{at + 6:.1f}" y2="{top - 1}"/>'
        )
    parts.append(_text(panel.left + length + 6, top + BAR - 2, _figure(panel, cell), "small"))
    return parts


def _figure(panel: Panel, cell: Cell) -> str:
    value = cell.value or 0.0
    figure = f"{value:.0f} us" if value >= 100 else f"{value:.2f} us"
    reference = panel.cells.get(REFERENCE)
    if reference is None or not reference.value or reference is cell:
        return figure
    times = ratio(cell, reference) or 0.0
    return f"{figure}, {times:.0f}x" if times >= 10 else f"{figure}, {times:.2f}x"


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text{attribute} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
