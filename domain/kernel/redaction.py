"""Hidden texts taken out of whatever else holds them, in every spelling in which a remote side may echo them."""

from __future__ import annotations

import base64
import html
import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
# A shorter text would be found by chance in what has nothing to do with it.
MIN_HIDDEN_CHARACTERS = 4
# Whoever cuts texts to a size cuts at more than this, or marks the cut with an ellipsis.
LEAST_CUT_CHARACTERS = 100
_PERCENT = re.compile("%[0-9A-F]{2}")
_NEVER_ESCAPED = re.compile(r"[A-Za-z0-9 _.,:;!?@#$%^*()\[\]{}|~+=-]+", re.ASCII)
# Each text that holds another doubles its backslashes, so any number of them is one escape.
_ESCAPE = re.compile(
    r"\\+(?:u([dD][89abAB][0-9a-fA-F]{2})\\+u([dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u([0-9a-fA-F]{4})|U(000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))?"
)
_LETTERS = str.maketrans("\n\r\t\b\f", "nrtbf")


def texts_to_hide(value: Any) -> tuple[str, ...]:
    """The texts and numbers inside a secret JSON value that are long enough to be recognized elsewhere, longest first."""
    found = {text for text in _leaves(value) if len(text) >= MIN_HIDDEN_CHARACTERS}
    return tuple(sorted(found, key=len, reverse=True))


@dataclass(frozen=True)
class _Spellings:
    """How hidden texts may be written: word for word, and escaped any number of times, as JSON inside JSON is.

    `escaped`: without their backslashes, to be looked for in what `_unescaped` leaves of a text.
    """

    literal: tuple[str, ...]
    escaped: tuple[str, ...]


def redacted(value: Any, hidden: tuple[str, ...]) -> Any:
    """A JSON value without the hidden texts, in keys and numbers too."""
    return _redacted(value, _spellings(hidden)) if hidden else value


def redacted_text(text: str, hidden: tuple[str, ...]) -> str:
    """A text in which each hidden one is `***`: plain, escaped for JSON, HTML or URLs, as base64 and as hex.

    An end of the text at which a hidden one was cut off is masked as well.
    """
    return _without(text, _spellings(hidden))


def _redacted(value: Any, spellings: _Spellings) -> Any:
    if isinstance(value, str):
        return _without(value, spellings)
    if isinstance(value, dict):
        members: dict[str, Any] = {}
        for key, member in value.items():
            members[_free(_without(key, spellings), members)] = _redacted(member, spellings)
        return members
    if isinstance(value, list):
        return [_redacted(item, spellings) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return MASK if any(one in text for text in _numerals(value) for one in spellings.literal) else value
    return value


def _free(key: str, taken: dict[str, Any]) -> str:
    """`key`, or with a number behind it when another one became the same."""
    free, count = key, 1
    while free in taken:
        count += 1
        free = f"{key} ({count})"
    return free


def _without(text: str, spellings: _Spellings) -> str:
    # All places are marked before any is masked, so that two hidden texts that overlap go together.
    likely = [one for one in spellings.literal if one[:MIN_HIDDEN_CHARACTERS] in text]
    spans = [span for one in likely for span in (*_places(text, one), *_cut_place(text, one))]
    if spellings.escaped and "\\" in text:
        spans += _escaped_places(text, spellings.escaped)
    parts, end = [], 0
    for start, stop in sorted(spans):
        if start >= end:
            parts += [text[end:start], MASK]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


def _places(text: str, spelling: str) -> Iterator[tuple[int, int]]:
    at = text.find(spelling)
    period = _period(spelling) if at >= 0 else 0
    while at >= 0:
        end = at + len(spelling)
        while text.startswith(spelling[-period:], end):
            end += period
        yield at, end
        at = text.find(spelling, end - len(spelling) + 1)


def _period(text: str) -> int:
    """After how many characters the same text may begin again inside itself."""
    return next(at for at in range(1, len(text) + 1) if text.startswith(text[at:]))


def _cut_place(text: str, spelling: str) -> Iterator[tuple[int, int]]:
    """Where the end of a text that may have been cut is the beginning of a spelling."""
    if len(text) < LEAST_CUT_CHARACTERS and not text.endswith("…"):
        return
    rest = text.rstrip("…")
    head = spelling[:MIN_HIDDEN_CHARACTERS]
    at = rest.find(head, max(0, len(rest) - len(spelling)))
    while at >= 0:
        if spelling.startswith(rest[at:]):
            yield at, len(rest)
            return
        at = rest.find(head, at + 1)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        yield value.strip()
    elif isinstance(value, dict):
        for member in value.values():
            yield from _leaves(member)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _numerals(value)


def _numerals(number: float) -> tuple[str, ...]:
    """How a number may be written; 1e4 is 10000 as well."""
    plain = json.dumps(number)
    return (plain, str(int(number))) if isinstance(number, float) and number.is_integer() else (plain,)


def _spellings(hidden: Iterable[str]) -> _Spellings:
    texts = list(hidden)
    literal = {spelling for text in texts for spelling in _spellings_of(text)}
    special = [text for text in texts if not _NEVER_ESCAPED.fullmatch(text)]
    plain = {_unescaped(one)[0] for text in special for one in (text, *_html_escaped(text))}
    escaped = sorted(one for one in plain if len(one) >= MIN_HIDDEN_CHARACTERS)
    return _Spellings(tuple(sorted(literal, key=len, reverse=True)), tuple(escaped))


def _spellings_of(text: str) -> Iterator[str]:
    written = set(_written(text))
    yield from written
    # What carries a secret is encoded as a whole: a body in JSON, a query, a header.
    for one in written:
        raw = one.encode("utf-8", "surrogatepass")
        yield from (raw.hex(), raw.hex().upper())
        for offset in range(3):
            yield from _base64_cores(raw, offset)


def _written(text: str) -> Iterator[str]:
    for escaped in {text, *_json_escaped(text)}:
        yield from (escaped, *_html_escaped(escaped))
        for safe in ("", "/", "!*'();:@&=+$,/?~"):
            yield from _percent_cases(quote(escaped, safe=safe, errors="replace"))
        yield from _percent_cases(quote_plus(escaped, errors="replace"))


def _html_escaped(text: str) -> tuple[str, ...]:
    named = html.escape(text)
    return html.escape(text, quote=False), named, named.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def _percent_cases(url: str) -> tuple[str, str]:
    return url, _PERCENT.sub(lambda match: match[0].lower(), url)


def _escaped_places(text: str, spellings: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Where hidden texts stand escaped, with the backslashes before them. In time linear in the text."""
    plain, bounds = _unescaped(text)
    begins = [begin for begin, _ in bounds]

    def bound(at: int) -> int:
        return at + bounds[bisect_right(begins, at - 1) - 1][1] if at else 0

    for spelling in spellings:
        yield from ((bound(start), bound(end)) for start, end in _places(plain, spelling))


def _unescaped(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without backslashes, what they stand for put in place, and by how much the ends of its characters differ
    from those in `text`: (from which character on, difference). A line end and its kin are their letters, n for one."""
    parts: list[str] = []
    bounds, at, length = [(0, 0)], 0, 0
    for match in _ESCAPE.finditer(text):
        parts += (text[at : match.start()], character := _meant(match))
        length, at = length + match.start() - at, match.end()
        bounds.append((length, at - length - len(character)))
        length += len(character)
    return "".join([*parts, text[at:]]).translate(_LETTERS), bounds


def _meant(match: re.Match[str]) -> str:
    high, low, *codes = match.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10 | int(low, 16) & 0x3FF))
    code = next(filter(None, codes), None)
    return chr(int(code, 16)).replace("\\", "") if code else ""


def _json_escaped(text: str) -> set[str]:
    escaped = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    return escaped | {one.replace("/", "\\/") for one in escaped}


def _base64_cores(raw: bytes, offset: int) -> Iterator[str]:
    """The characters that the bytes alone decide when they begin `offset` bytes after a multiple of three (RFC 4648)."""
    first, last = -(-offset * 8 // 6), (offset + len(raw)) * 8 // 6
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(bytes(offset) + raw).decode()[first:last]
