"""Secrets in payloads: typed ones are sealed before they are stored, named ones stay references, neither is shown.

Three objects stand for a value. `{"$secret": "NAME"}` names a secret of the tenant and is allowed where the schema marks
the field with `"x-secret": true`. `{"$sealed": token}` is what was typed there, encrypted. `{"$kept": true}` is how
people see the latter; sent back, it stands for the value stored at the same place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from domain.accounts.secrets import NAME_RULE, is_secret_name, unknown_secret_names
from domain.kernel.errors import Problem, Refused
from domain.kernel.redaction import MIN_HIDDEN_CHARACTERS, texts_to_hide
from domain.kernel.secret_values import KEPT, KEPT_MARK, MARKERS, SEALED, SECRET, is_sealed, shown
from domain.kernel.strict_json import pointer
from domain.kernel.vault import Unsealable, seal, unseal
from domain.workflows.kept_values import MISSING, stored_items, stored_member
from domain.workflows.schema_rules import payload_problems
from domain.workflows.secret_places import Place, SecretPlaces, secret_places

__all__ = ["opened", "sealed", "shown", "stored_problems", "taken_payload"]

_ANY_OBJECT = {"type": "object"}


def taken_payload(
    tenant_id: UUID, schema: dict[str, Any] | None, payload: Any, stored: Any = None, path: str = "payload"
) -> Any:
    """The payload as it is stored: valid for `schema`, secrets sealed, kept marks replaced by what `stored` holds there.

    A sealed value is taken only where `stored` holds the same one, so whoever passes a stored payload on gives it
    twice. Raises Refused at `path` with JSON pointers.
    """
    places = secret_places(schema or _ANY_OBJECT)
    taking = _Taking(places.within(payload))
    settled = taking.settled(payload, MISSING if stored is None else stored, ())
    problems = taking.problems or _unknown_names(tenant_id, taking.references)
    if not problems:
        problems = _fit_problems(tenant_id, schema or _ANY_OBJECT, places, settled, set(taking.references))
    if not problems and taking.places:
        problems = [_too_short(where) for where, value in _literals(settled, taking.places) if not texts_to_hide(value)]
    if problems:
        raise Refused(Problem(f"{path}{problem.path}", problem.message, problem.code) for problem in problems)
    return _sealed(tenant_id, settled, taking.places, ())


def stored_problems(tenant_id: UUID, schema: dict[str, Any] | None, payload: Any) -> list[Problem]:
    """What is wrong with a stored payload under `schema`, sealed values opened in memory; paths are JSON pointers."""
    places = secret_places(schema or _ANY_OBJECT)
    allowed = places.within(payload)
    references = set(_references(payload, ()))
    if misplaced := sorted(pointer(where) for where in references - allowed):
        return [_not_allowed(where) for where in misplaced]
    return _fit_problems(tenant_id, schema or _ANY_OBJECT, places, payload, references)


def sealed(tenant_id: UUID, schema: dict[str, Any] | None, payload: Any) -> Any:
    """A stored payload with everything sealed that `schema` marks as secret: it may mark more than when it was stored."""
    return _sealed(tenant_id, payload, secret_places(schema or _ANY_OBJECT).within(payload), ())


def opened(tenant_id: UUID, value: Any) -> Any:
    """The value with what is sealed in it in plain: for use in memory. Raises Unsealable."""
    if is_sealed(value):
        return unseal(tenant_id, value[SEALED])
    if isinstance(value, dict):
        return {key: opened(tenant_id, member) for key, member in value.items()}
    if isinstance(value, list):
        return [opened(tenant_id, item) for item in value]
    return value


class _Taking:
    """Replaces kept marks and checks every object that stands for a secret."""

    def __init__(self, places: set[Place]) -> None:
        self.places = places
        self.problems: list[Problem] = []
        self.references: dict[Place, str] = {}

    def settled(self, value: Any, stored: Any, where: Place) -> Any:
        if isinstance(value, dict):
            if any(marker in value for marker in MARKERS):
                return self._settled_marker(value, stored, where)
            return {
                key: self.settled(member, stored_member(stored, key), (*where, key)) for key, member in value.items()
            }
        if isinstance(value, list):
            pairs = zip(value, stored_items(stored, value), strict=True)
            return [self.settled(item, theirs, (*where, index)) for index, (item, theirs) in enumerate(pairs)]
        return value

    def _settled_marker(self, value: dict[str, Any], stored: Any, where: Place) -> Any:
        if value == KEPT_MARK and is_sealed(stored):
            return stored
        if SEALED in value and is_sealed(stored) and value == stored:
            return stored
        if SECRET in value:
            self._note_reference(value, where)
        elif KEPT in value:
            message = "Nothing is kept here, or the list around it has changed. Type the value again."
            self.problems.append(Problem(pointer(where), message, "SECRET_NOT_KEPT"))
        else:
            message = f"{SEALED} is only written by Carillon itself. Type the value."
            self.problems.append(Problem(pointer(where), message, "SEALED_NOT_ALLOWED"))
        return value

    def _note_reference(self, value: dict[str, Any], where: Place) -> None:
        if where not in self.places:
            self.problems.append(_not_allowed(pointer(where)))
        elif len(value) > 1 or not is_secret_name(value[SECRET]):
            message = f'Write exactly {{"{SECRET}": "NAME"}}. {NAME_RULE}'
            self.problems.append(Problem(pointer(where), message, "SECRET_NAME_INVALID"))
        else:
            self.references[where] = value[SECRET]


def _fit_problems(
    tenant_id: UUID, schema: dict[str, Any], places: SecretPlaces, payload: Any, references: set[Place]
) -> list[Problem]:
    try:
        plain = opened(tenant_id, payload)
    except Unsealable as unsealable:
        return [Problem("", unsealable.message, unsealable.code)]
    if not references:
        return payload_problems(schema, plain)
    try:
        found = payload_problems(places.tolerant_schema, plain)
    except Refused:
        # A reference of the schema leads to below a mark, where the tolerant one has another shape.
        found = payload_problems(schema, plain)
    named = {pointer(where) for where in references}
    return [problem for problem in found if not _is_below(problem.path, named)]


def _is_below(path: str, pointers: set[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in pointers)


def _unknown_names(tenant_id: UUID, references: dict[Place, str]) -> list[Problem]:
    unknown = unknown_secret_names(tenant_id, set(references.values()))
    return [
        Problem(pointer(where), f"There is no secret named {name}. Make it in the settings first.", "UNKNOWN_SECRET")
        for where, name in references.items()
        if name in unknown
    ]


def _literals(value: Any, places: set[Place], where: Place = ()) -> Iterator[tuple[Place, Any]]:
    """What was typed at the marked places and has something to hide."""
    if where in places:
        if not _is_hidden_already(value) and value not in (None, "", [], {}):
            yield where, value
    else:
        for key, member in _members(value):
            yield from _literals(member, places, (*where, key))


def _references(value: Any, where: Place) -> Iterator[Place]:
    if isinstance(value, dict) and SECRET in value:
        yield where
    else:
        for key, member in _members(value):
            yield from _references(member, (*where, key))


def _members(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict) and not is_sealed(value):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _sealed(tenant_id: UUID, value: Any, places: set[Place], where: Place) -> Any:
    if not places or _is_hidden_already(value):
        return value
    if where in places:
        return value if value in (None, "", [], {}) else {SEALED: seal(tenant_id, value)}
    if isinstance(value, dict):
        return {key: _sealed(tenant_id, member, places, (*where, key)) for key, member in value.items()}
    if isinstance(value, list):
        return [_sealed(tenant_id, item, places, (*where, index)) for index, item in enumerate(value)]
    return value


def _is_hidden_already(value: Any) -> bool:
    return is_sealed(value) or (isinstance(value, dict) and SECRET in value)


def _not_allowed(where: str) -> Problem:
    message = "A secret can be used only in fields that the payload schema marks as secret. Remove the reference."
    return Problem(where, message, "SECRET_NOT_ALLOWED")


def _too_short(where: Place) -> Problem:
    message = (
        f"Enter at least {MIN_HIDDEN_CHARACTERS} characters. "
        "A shorter value cannot be told from other text, so it could not be kept out of logs and outputs."
    )
    return Problem(pointer(where), message, "SECRET_TOO_SHORT")
