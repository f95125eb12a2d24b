"""Which stored value a kept mark stands for: the one at the same place, as long as the place is certain."""

from __future__ import annotations

from typing import Any

from domain.kernel.secret_values import is_sealed, shown

MISSING: Any = object()


def stored_member(stored: Any, key: str) -> Any:
    """The stored member under `key`, or MISSING."""
    return stored.get(key, MISSING) if isinstance(stored, dict) and not is_sealed(stored) else MISSING


def stored_items(stored: Any, items: list[Any]) -> list[Any]:
    """For each item of a list as sent: the stored item it was, or MISSING when that cannot be told.

    An item is known by its index while the list has its length; one that moved, by looking like exactly one stored
    item. Guessing could give one item the secret of another.
    """
    if not isinstance(stored, list):
        return [MISSING] * len(items)
    seen = [shown(item) for item in stored]
    return [_stored_item(stored, seen, items, index) for index in range(len(items))]


def _stored_item(stored: list[Any], seen: list[Any], items: list[Any], index: int) -> Any:
    item = items[index]
    alike = [at for at, look in enumerate(seen) if look == item or stored[at] == item]
    is_same_length = len(stored) == len(items)
    if is_same_length and (index in alike or not alike):
        return stored[index]
    return stored[alike[0]] if len(alike) == 1 else MISSING
