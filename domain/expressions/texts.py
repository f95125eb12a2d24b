"""The text functions of expressions that could make much out of little, each with its bound.

Every function takes the budget of the evaluation first. Texts that would be too long are refused before they are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NoReturn

from jsonata.functions import Functions
from jsonata.utils import Utils

from domain.expressions.limits import (
    MATCH_COST,
    MAX_MATCHES,
    MAX_TEXT_CHARACTERS,
    MEMBER_COST,
    NULL,
    Budget,
    ExpressionError,
    measured,
)

MAX_PICTURE_CHARACTERS = 100


def refuse(message: str) -> NoReturn:
    """Raise `ExpressionError`."""
    raise ExpressionError(message)


def text_of(budget: Budget, value: Any, pretty: Any = None) -> str | None:
    """The text of any value, as `&` and $string make it; None for undefined."""
    if not isinstance(value, str):
        budget.spend_text(measured(value, MAX_TEXT_CHARACTERS))
    result: str | None = Functions.string(value, bool(pretty) and pretty is not NULL)
    return result


def lowercase(_budget: Budget, text: Any) -> Any:
    """$lowercase, which unlike case folding keeps ß."""
    return text.lower() if isinstance(text, str) else Functions.lowercase(text)


def pad(budget: Budget, text: Any, width: Any, filler: Any = None) -> Any:
    """$pad."""
    if isinstance(width, int | float):
        budget.spend_text(int(abs(width)))
    return Functions.pad(text, width, filler)


def join(budget: Budget, texts: Any, separator: Any = None) -> Any:
    """$join."""
    if texts is not None:
        between = len(separator) if isinstance(separator, str) else 0
        budget.spend_text(sum(len(text) + between for text in texts))
    return Functions.join(texts, separator)


def split(budget: Budget, text: Any, pattern: Any, limit: Any = None) -> Any:
    """$split; with a pattern, the groups that took part stand between the parts."""
    if not isinstance(text, str) or isinstance(pattern, str):
        budget.spend(MEMBER_COST * len(text) if isinstance(text, str) else 0)
        return Functions.split(text, pattern, limit)
    if limit is not None and limit < 0:
        refuse("$split cannot give fewer than 0 parts.")
    parts: list[str] = []
    end = 0
    for match in matches(budget, pattern, text):
        parts += (text[end : match.start()], *(group for group in match.groups() if group is not None))
        end = match.end()
    return [*parts, text[end:]][: None if limit is None else int(limit)]


def match(budget: Budget, text: Any, pattern: Any, limit: Any = None) -> Any:
    """$match: an object with match, index and groups for each place found."""
    if not isinstance(text, str) or isinstance(pattern, str):
        return None if text is None else refuse("$match needs a text and a regular expression.")
    if limit is not None and limit < 0:
        refuse("$match cannot give fewer than 0 places.")
    found = Utils.create_sequence()
    for place in islice(matches(budget, pattern, text), None if limit is None else int(limit)):
        if len(found) == MAX_MATCHES:
            refuse(f"$match finds more than {MAX_MATCHES:,} places.")
        found.append({"match": place.group(), "index": place.start(), "groups": list(place.groups())})
    return found


def matches(budget: Budget, pattern: Any, text: str) -> Iterator[Any]:
    """The matches of a compiled pattern; one that matches the empty text is refused, as JSONata does (D1004)."""
    for place in pattern.finditer(text):
        budget.spend(MATCH_COST)
        if place.end() == place.start():
            refuse("The regular expression matches an empty text.")
        yield place


def replace(budget: Budget, text: Any, pattern: Any, replacement: Any, limit: Any = None) -> Any:
    """$replace of a text or of a pattern by a text."""
    if not isinstance(text, str) or not isinstance(replacement, str):
        return None if text is None else refuse("$replace needs a text, what to look for, and a text to put there.")
    if pattern == "" or (limit is not None and limit < 0):
        refuse("$replace cannot look for an empty text, nor replace fewer than 0 times.")
    most = -1 if limit is None else int(limit)
    if isinstance(pattern, str):
        count = text.count(pattern) if most < 0 else min(most, text.count(pattern))
        budget.spend_text(len(text) + count * max(0, len(replacement) - len(pattern)))
        return text.replace(pattern, replacement, most)
    return _replace_matches(budget, text, pattern, replacement, most)


def _replace_matches(budget: Budget, text: str, pattern: Any, replacement: str, most: int) -> str:
    parts: list[str] = []
    end = 0
    for place in islice(matches(budget, pattern, text), None if most < 0 else most):
        parts += (text[end : place.start()], _filled(budget, replacement, place))
        end = place.end()
    parts.append(text[end:])
    budget.spend_text(sum(map(len, parts)))
    return "".join(parts)


def _filled(budget: Budget, template: str, place: Any) -> str:
    """A replacement with `$0` (the match), `$1` … (its groups) and `$$` (a dollar sign) filled in."""
    budget.spend(len(template) + MEMBER_COST)
    if "$" not in template:
        return template
    groups = (place.group(), *place.groups())
    parts: list[str] = []
    position = 0
    while (at := template.find("$", position)) >= 0:
        parts.append(template[position:at])
        position = at + 2
        mark = template[at + 1 : position]
        if mark == "$":
            parts.append("$")
        elif mark.isdecimal() and mark.isascii():
            position = _group_end(template, at + 1, len(groups))
            number = int(template[at + 1 : position])
            taken = (groups[number] or "") if number < len(groups) else ""
            budget.spend_text(len(taken))
            parts.append(taken)
        else:
            parts.append("$")
            position = at + 1
    return "".join([*parts, template[position:]])


def _group_end(template: str, start: int, groups: int) -> int:
    """Where the number of a group ends: the longest that names a group there is, else one digit."""
    end = start + 1
    while template[end : end + 1].isdecimal() and int(template[start : end + 1]) < groups:
        end += 1
    return end


def format_number(_budget: Budget, number: Any, picture: Any, options: Any = None) -> Any:
    """$formatNumber with a short picture and without options."""
    if options is not None or not isinstance(picture, str) or len(picture) > MAX_PICTURE_CHARACTERS:
        refuse(f"$formatNumber takes a number and a picture of at most {MAX_PICTURE_CHARACTERS} characters.")
    return Functions.format_number(number, picture, None)
