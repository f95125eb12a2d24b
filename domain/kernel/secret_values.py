"""The objects that stand for a secret value in payloads and definitions, and what people see of them."""

from __future__ import annotations

from typing import Any

SECRET, SEALED, KEPT = "$secret", "$sealed", "$kept"
MARKERS = (SECRET, SEALED, KEPT)
KEPT_MARK = {KEPT: True}
_NESTED = (dict, list)


def is_sealed(value: Any) -> bool:
    """Whether the value is `{"$sealed": token}`."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(SEALED), str)


def shown(value: Any) -> Any:
    """A stored JSON value for people, the API and the audit log: `{"$kept": true}` in place of what is sealed."""
    # Most members are plain, and are taken as they are without a call each.
    if isinstance(value, dict):
        if is_sealed(value):
            return KEPT_MARK.copy()
        return {key: shown(member) if isinstance(member, _NESTED) else member for key, member in value.items()}
    if isinstance(value, list):
        return [shown(item) if isinstance(item, _NESTED) else item for item in value]
    return value
