"""Secrets on their way through a step: opened just before an outside action runs, and taken out of all it answers.

Expressions only ever see `{"$secret": "NAME"}` and `{"$sealed": token}`, as objects that can be moved into the inputs of
an action. What comes back from outside cannot become such an object.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from domain.accounts.secrets import is_secret_name, secret_values
from domain.engine.failures import VALIDATION, StepFailed
from domain.kernel.redaction import redacted, redacted_text, texts_to_hide
from domain.kernel.secret_values import MARKERS, SEALED, SECRET, is_sealed
from domain.kernel.vault import Unsealable, unseal

__all__ = ["defused", "has_secrets", "redacted", "redacted_text", "resolved", "without_new_references"]


def has_secrets(value: Any) -> bool:
    """Whether anything in the value stands for a secret."""
    return next(_standing_in(value), None) is not None


def resolved(tenant_id: UUID, value: Any) -> tuple[Any, tuple[str, ...]]:
    """The value with every secret in plain, and the texts to take out of whatever the action answers, longest first.

    Reads all named secrets at once, and nothing when there are none. Raises StepFailed (ValidationError) with
    SECRET_NOT_FOUND or SECRET_NOT_READABLE.
    """
    names = {_name_in(item) for item in _standing_in(value) if SECRET in item}
    try:
        plain = secret_values(tenant_id, names) if names else {}
        if missing := sorted(names - set(plain)):
            message = f"There is no secret named {', '.join(missing)}. Make it in the settings, or name another."
            raise StepFailed(message, "SECRET_NOT_FOUND", VALIDATION)
        found: list[Any] = []
        return _with_secrets(tenant_id, value, plain, found), texts_to_hide(found)
    except Unsealable as unsealable:
        raise StepFailed(unsealable.message, unsealable.code, VALIDATION) from None


def defused(value: Any) -> Any:
    """A value from outside, in which no object stands for a secret: their keys are written with another `$` in front.

    Otherwise a remote side that answers `{"$secret": "NAME"}` would be sent that secret with the next call.
    """
    if isinstance(value, dict):
        return {f"${key}" if key in MARKERS else key: defused(member) for key, member in value.items()}
    if isinstance(value, list):
        return [defused(item) for item in value]
    return value


def without_new_references(answer: Any, inputs: Any) -> Any:
    """What an action of our own answers: it may pass `{"$secret": …}` on, but not make one of a text it was given."""
    if not has_secrets(answer):
        return answer
    known = list(_standing_in(inputs))

    def checked(value: Any) -> Any:
        if isinstance(value, dict):
            if is_sealed(value) or value in known:
                return value
            return {f"${key}" if key == SECRET else key: checked(member) for key, member in value.items()}
        return [checked(item) for item in value] if isinstance(value, list) else value

    return checked(answer)


def _name_in(item: dict[str, Any]) -> str:
    name = item[SECRET]
    if len(item) > 1 or not is_secret_name(name):
        message = f'A secret is named by exactly {{"{SECRET}": "NAME"}}, in capitals, digits and underscores.'
        raise StepFailed(message, "SECRET_NAME_INVALID", VALIDATION)
    return str(name)


def _standing_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if SECRET in value or is_sealed(value):
            yield value
        else:
            for member in value.values():
                yield from _standing_in(member)
    elif isinstance(value, list):
        for item in value:
            yield from _standing_in(item)


def _with_secrets(tenant_id: UUID, value: Any, plain: dict[str, str], found: list[Any]) -> Any:
    if isinstance(value, dict):
        if SECRET in value or is_sealed(value):
            found.append(plain[value[SECRET]] if SECRET in value else unseal(tenant_id, value[SEALED]))
            return found[-1]
        return {key: _with_secrets(tenant_id, member, plain, found) for key, member in value.items()}
    if isinstance(value, list):
        return [_with_secrets(tenant_id, item, plain, found) for item in value]
    return value
