"""The functions that expressions may call: JSONata's own where they are pure and cheap, and four of Carillon.

Not offered: $now, $millis, $random, $shuffle (a resumed run must see what the first saw); $eval, $map, $filter, $reduce,
$sift, $each, $single (they run code given as a value); $formatBase, $formatInteger, $parseInteger, $clone, and the
picture arguments of $toMillis and $fromMillis (no bound on their time or memory).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jsonata.functions import Functions
from jsonata.jsonata import Jsonata
from jsonata.signature import Signature
from jsonata.utils import Utils

from domain.expressions import texts
from domain.expressions.limits import MAX_TEXT_CHARACTERS, MEMBER_COST, NULL, Budget, measured
from domain.expressions.texts import refuse, text_of
from domain.kernel.strict_json import dumps

TAKES_PATTERN = frozenset({"contains", "match", "replace", "split"})
# Older definitions call these without the leading $.
CARILLON = frozenset({"coalesce", "len", "toString", "append"})


@dataclass(frozen=True)
class Function:
    """One callable: its name, how JSONata checks its arguments (None for not at all), and what it does."""

    name: str
    signature: Any
    body: Callable[..., Any]

    def call(self, budget: Budget, arguments: list[Any], context: Any) -> Any:
        """The raw result; `context` stands in for a missing first argument where the signature says so."""
        valid = arguments if self.signature is None else self.signature.validate(arguments, context)
        result = self.body(budget, *valid)
        return Utils.convert_number(result) if Utils.is_numeric(result) else result


def members_named(budget: Budget, value: Any, key: str) -> Any:
    """The member of an object, or of every object in a list, flattened; None for undefined, NULL for null."""
    if isinstance(value, dict):
        member = value.get(key)
        return NULL if member is None and key in value else member
    if not isinstance(value, list):
        return None
    found = Utils.create_sequence()
    budget.spend(MEMBER_COST * len(value))
    for item in value:
        member = members_named(budget, item, key)
        if isinstance(member, list):
            budget.spend(MEMBER_COST * len(member))
            found.extend(member)
        elif member is not None:
            found.append(member)
    return found


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    def body(_budget: Budget, *arguments: Any) -> Any:
        return function(*arguments)

    return body


def _distinct(budget: Budget, items: Any) -> Any:
    if not isinstance(items, list) or len(items) <= 1:
        return items
    kept: dict[tuple[str, Any], Any] = {}
    for item in items:
        kept.setdefault(_identity(budget, item), item)
    # Only what a path has gathered is reduced to its single member, not a list that was one before.
    gathered = Utils.is_sequence(items)
    return Utils.create_sequence_from_iter(kept.values()) if gathered else list(kept.values())


def _identity(budget: Budget, value: Any) -> tuple[str, Any]:
    if isinstance(value, dict | list):
        budget.spend_text(measured(value, MAX_TEXT_CHARACTERS))
        return ("tree", dumps(_comparable(value)))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return (type(value).__name__, value)
    return ("number", value)


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _comparable(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_comparable(member) for member in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if value is NULL else value


def _keys(budget: Budget, value: Any) -> Any:
    names: dict[str, None] = {}
    waiting = [value]
    while waiting:
        item = waiting.pop()
        budget.spend(MEMBER_COST * (1 + (len(item) if isinstance(item, dict | list) else 0)))
        if isinstance(item, dict):
            names.update(dict.fromkeys(item))
        elif isinstance(item, list):
            waiting.extend(reversed(item))
    return Utils.create_sequence_from_iter(names)


def _merge(budget: Budget, objects: Any) -> Any:
    if objects is None:
        return None
    merged: dict[str, Any] = {}
    for item in objects:
        if not isinstance(item, dict):
            refuse("$merge needs a list of objects.")
        budget.spend(MEMBER_COST * len(item))
        merged.update(item)
    return merged


def _spread(budget: Budget, value: Any) -> Any:
    if not isinstance(value, dict | list):
        return value
    found = Utils.create_sequence()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        budget.spend(MEMBER_COST * (1 + (len(item) if isinstance(item, dict | list) else 0)))
        if isinstance(item, dict):
            found.extend({key: member} for key, member in item.items())
        elif isinstance(item, list):
            waiting.extend(reversed(item))
        elif item is not None:
            found.append(item)
    return found


def _sort(_budget: Budget, items: Any, comparator: Any = None) -> Any:
    if comparator is not None:
        refuse("$sort takes no function here. Use the order-by operator: items^(>price).")
    return Functions.sort(items, None)


def _zip(budget: Budget, *lists: Any) -> Any:
    budget.spend(MEMBER_COST * 10 * sum(len(one) for one in lists if isinstance(one, list)))
    return Functions.zip(*lists)


def _to_millis(_budget: Budget, text: Any, picture: Any = None) -> Any:
    if picture is not None:
        refuse("$toMillis reads ISO 8601 only and takes no picture.")
    return Functions.datetime_to_millis(text, None)


def _from_millis(_budget: Budget, millis: Any, picture: Any = None, zone: Any = None) -> Any:
    if picture is not None or zone is not None:
        refuse("$fromMillis writes ISO 8601 in UTC only and takes neither picture nor zone.")
    return Functions.datetime_from_millis(millis, None, None)


def _coalesce(_budget: Budget, *values: Any) -> Any:
    """The first argument that is neither missing nor null, else null."""
    return next((value for value in values if value is not None and value is not NULL), NULL)


def _len(_budget: Budget, value: Any = None) -> int:
    """The length of a text or list, else 0."""
    return len(value) if isinstance(value, str | list) else 0


def _to_string(budget: Budget, value: Any = None) -> str:
    """The text of a value; empty for what is missing or null."""
    return "" if value is None or value is NULL else text_of(budget, value) or ""


# Carillon's own body for a built-in, or the library's.
_BODIES: dict[str, Callable[..., Any]] = {
    "string": texts.text_of,
    "lowercase": texts.lowercase,
    "pad": texts.pad,
    "join": texts.join,
    "split": texts.split,
    "match": texts.match,
    "replace": texts.replace,
    "formatNumber": texts.format_number,
    "distinct": _distinct,
    "keys": _keys,
    "lookup": members_named,
    "merge": _merge,
    "spread": _spread,
    "sort": _sort,
    "zip": _zip,
    "toMillis": _to_millis,
    "fromMillis": _from_millis,
}


def _built_in(name: str) -> Function:
    native = Jsonata.static_frame.lookup(name)
    # A signature of its own: the library writes into those it has registered.
    return Function(name, Signature(_SIGNATURES[name], name), _BODIES.get(name) or _plain(native.method))


_SIGNATURES = {
    **dict.fromkeys(["sum", "max", "min", "average"], "<a<n>:n>"),
    **dict.fromkeys(["abs", "floor", "ceil", "sqrt"], "<n-:n>"),
    **dict.fromkeys(["boolean", "not"], "<x-:b>"),
    **dict.fromkeys(["lowercase", "uppercase", "length", "trim", "base64encode", "base64decode"], "<s-:s>"),
    **dict.fromkeys(["encodeUrl", "encodeUrlComponent", "decodeUrl", "decodeUrlComponent"], "<s-:s>"),
    **dict.fromkeys(["substringBefore", "substringAfter"], "<s-s:s>"),
    "string": "<x-b?:s>",
    "substring": "<s-nn?:s>",
    "pad": "<s-ns?:s>",
    "contains": "<s-(sf):b>",
    "match": "<s-f<s:o>n?:a<o>>",
    "replace": "<s-(sf)(sf)n?:s>",
    "split": "<s-(sf)n?:a<s>>",
    "join": "<a<s>s?:s>",
    "number": "<(nsb)-:n>",
    "round": "<n-n?:n>",
    "power": "<n-n:n>",
    "formatNumber": "<n-so?:s>",
    "exists": "<x:b>",
    "type": "<x:s>",
    "count": "<a:n>",
    "append": "<xx:a>",
    "reverse": "<a:a>",
    "sort": "<af?:a>",
    "distinct": "<x:x>",
    "zip": "<a+>",
    "keys": "<x-:a<s>>",
    "lookup": "<x-s:x>",
    "merge": "<a<o>:o>",
    "spread": "<x-:a<o>>",
    "toMillis": "<s-s?:n>",
    "fromMillis": "<n-s?s?:s>",
    "error": "<s?:x>",
    "assert": "<bs?:x>",
}
FUNCTIONS: dict[str, Function] = {name: _built_in(name) for name in _SIGNATURES} | {
    "coalesce": Function("coalesce", None, _coalesce),
    "len": Function("len", None, _len),
    "toString": Function("toString", None, _to_string),
}
