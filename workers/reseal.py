"""After CARILLON_SECRET_KEY was replaced: seal everything that is sealed with the new key.

`python -m workers.reseal`, with the earlier key in CARILLON_PREVIOUS_SECRET_KEYS. When it says that nothing is left, the
earlier key can go. It may run beside everything else, and again after it was stopped.
"""

from __future__ import annotations

import sys

from domain.kernel.db import transaction
from domain.kernel.resealing import SealedColumn, reseal_batch, sealed_columns
from workers.process import configured, process_app


def reseal(place: SealedColumn) -> tuple[int, int]:
    """How many rows of one column were sealed again, and in how many something cannot be opened; commits as it goes."""
    changed, unreadable, last = 0, 0, None
    while True:
        with transaction():
            batch = reseal_batch(place, last)
        changed, unreadable, last = changed + batch.changed, unreadable + batch.unreadable, batch.last
        if last is None:
            return changed, unreadable


def main() -> None:
    """Go through every table, say what was done, and end with an error when something is left that no key opens."""
    app = process_app(configured(), "command", 1)
    total_unreadable = 0
    with app.app_context():
        for place in sealed_columns():
            changed, unreadable = reseal(place)
            total_unreadable += unreadable
            if changed or unreadable:
                name = f"{place.table.name}.{place.column.name}"
                print(f"{name}: {changed} sealed with the new key, {unreadable} cannot be opened")
    if total_unreadable:
        sys.exit(
            "Some values are sealed with a key that is not in CARILLON_PREVIOUS_SECRET_KEYS. Add it and run again."
        )
    print("Everything is sealed with the new key.")


if __name__ == "__main__":
    main()
