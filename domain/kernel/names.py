"""Names that people give to things: one line of visible text that reads the same for everyone."""

from __future__ import annotations

import re
import unicodedata

from domain.kernel.errors import Refused

MAX_CHARACTERS = 128
_SPACES = re.compile(r"[ \u00a0\u2000-\u200a\u202f\u205f\u3000]+")
# Joiners are needed to write some languages and emoji; they neither hide nor reorder text.
_JOINERS = frozenset("\u200c\u200d")


def parse_name(text: str, path: str, *, max_characters: int = MAX_CHARACTERS) -> str:
    """`text` as it is stored: NFC, runs of blanks made one space, none at the ends.

    Raises Refused at `path` with NAME_REQUIRED, NAME_TOO_LONG or NAME_CHARACTERS (control characters, line breaks,
    characters that hide or reorder text, halves of surrogate pairs, code points that Unicode never assigns).
    """
    if not isinstance(text, str):
        raise Refused.at(path, "This must be text.", "NAME_CHARACTERS")
    name = _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip(" ")
    # Most names are printable as a whole, and every character that is refused is not.
    if not name.isprintable() and (refused := next(filter(_is_unprintable, name), None)):
        raise Refused.at(path, f"A name cannot contain {_described(refused)}. Remove it.", "NAME_CHARACTERS")
    if not (name and name.isascii()) and not any(_is_visible(character) for character in name):
        raise Refused.at(path, "Enter a name.", "NAME_REQUIRED")
    if len(name) > max_characters:
        message = f"A name has at most {max_characters} characters; this one has {len(name)}."
        raise Refused.at(path, message, "NAME_TOO_LONG")
    return name


def _is_unprintable(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cf":
        return character not in _JOINERS
    return category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cn" and ord(character) & 0xFFFE == 0xFFFE)


def _is_visible(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character)[0] not in "ZM"


def _described(character: str) -> str:
    word = {"\n": "a line break", "\r": "a line break", "\t": "a tab", "\x00": "a NUL character"}.get(character)
    return word or f"the invisible character U+{ord(character):04X}"
