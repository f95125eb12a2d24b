"""Passwords of ten characters and more that lists of stolen ones are full of; shorter ones are refused by length."""

from __future__ import annotations

_BASES = """
password passw0rd p@ssw0rd p@ssword letmein welcome iloveyou qwertyuiop qwerty qwerty123 asdfghjkl zxcvbnm
1q2w3e4r5t 1qaz2wsx3edc qazwsxedc administrator admin carillon changeme changeit default secret trustno1
football baseball basketball superman batman starwars sunshine princess dragon monkey shadow master
michael jordan computer internet samsung google facebook whatever freedom mustang charlie summer winter
spring autumn monday friday liverpool arsenal chelsea pokemon minecraft fortnite abcdefghij abcd1234
1234567890 0123456789 9876543210 12345678910 123456789a a123456789 1234512345 1122334455 123123123
qwertyuiop123 q1w2e3r4t5y6 qweasdzxc 147258369 987654321 741852963 correcthorsebatterystaple
"""
_ENDS = " ! 1 12 123 1234 12345 123456 1234567 12345678 123456789 1234567890 123! 1! @123 #1 2023 2024 2025 2026 2027 00 007 69 99"


def _made_of(bases: list[str], ends: list[str]) -> frozenset[str]:
    return frozenset(base + end for base in bases for end in [*ends, *bases])


COMMON_PASSWORDS = _made_of(_BASES.split(), _ENDS.split(" "))
