"""What a bench says: a table for people, a file of JSON for later. Both begin with the machine and the ratios."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.machine import described, machine

PLACE = Path("var/bench")
NOTHING = "-"

Row = dict[str, Any]


class Report:
    """The results of one bench. Made before anything is measured: the load then is that of others."""

    def __init__(self, name: str, settings: dict[str, Any]) -> None:
        self.name = name
        self.settings = settings
        self.machine = machine()
        self.ratios: Row = {}
        self.rows: list[Row] = []
        print(f"bench.{name} · {described(self.machine)}\n", flush=True)

    def add(self, row: Row) -> Row:
        """Keep a row, and show it at once: the next one may take minutes."""
        self.rows.append(row)
        print("  " + " · ".join(f"{name} {shown(value)}" for name, value in row.items()), flush=True)
        return row

    def close(self) -> Path:
        """Print ratios and table, write the file, and answer where it is."""
        print()
        for name, value in self.ratios.items():
            print(f"{name}: {shown(value)}")
        print(f"\n{table(self.rows)}\n")
        PLACE.mkdir(parents=True, exist_ok=True)
        path = PLACE / f"{self.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
        kept = {"bench": self.name, "ratios": self.ratios, "settings": self.settings, "machine": self.machine}
        path.write_text(json.dumps(kept | {"rows": self.rows}, indent=1) + "\n")
        print(f"written to {path}")
        return path


def table(rows: Sequence[Row]) -> str:
    """Markdown, with the columns of all rows in the order of their first appearance."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([shown(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def shown(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def median(values: Iterable[float | None]) -> float | None:
    """Of those that are known; None when none is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def ratio(theirs: float | None, ours: float | None) -> float | None:
    """How many times as long theirs takes."""
    return theirs / ours if theirs is not None and ours else None
