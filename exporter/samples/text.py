"""Figures of metrics.py on the terminal and in reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..show.console import plain_table
from .metrics import Metrics

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("ACC", "RMSE", "MAE", "L2R", "MEAN", "STD", "NSE", "COS")
SHORT = {
    "C model against labels": "C / labels",
    "original against labels": "original / labels",
    "C model against original": "C / original",
}
WIDE = 115  # columns that the figures take as rows


def figures(metrics: Metrics) -> list[str]:
    """One row as text, in the order of COLUMNS."""
    acc = "n.a." if metrics.acc is None else f"{100 * metrics.acc:.2f}%"
    rest = (metrics.rmse, metrics.mae, metrics.l2r, metrics.mean, metrics.std, metrics.nse, metrics.cos)
    return [acc, *(f"{value:.4g}" for value in rest)]


def metrics_table(title: str, rows: Sequence[tuple[str, Metrics]], width: int) -> Table:
    """A row per comparison, or a column where rows would be too long."""
    if width >= WIDE:
        table = plain_table(title, *(f">{column}" for column in COLUMNS))
        for name, metrics in rows:
            table.add_row(name, *figures(metrics))
        return table
    table = plain_table(title, *(f">{SHORT.get(name, name)}" for name, _ in rows))
    for cells in zip(COLUMNS, *(figures(metrics) for _, metrics in rows), strict=True):
        table.add_row(*cells)
    return table


def figures_of_json(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and text of each figure of a row in JSON."""
    values = {key.upper(): value for key, value in row.items()}
    acc = "n.a." if values["ACC"] is None else f"{100 * values['ACC']:.2f} %"
    return [("ACC", acc), *((name, f"{float(values[name]):.4g}") for name in COLUMNS[1:])]
