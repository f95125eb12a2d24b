"""A parsed expression, kept per text, and its evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jsonata.jexception import JException

from domain.expressions.grammar import read, roots, spoken
from domain.expressions.limits import ExpressionError, exported
from domain.expressions.machine import Machine
from domain.expressions.shortcuts import NeedsEvaluator, shortcut

# A parsed expression takes up to 250 bytes per character, so fewer of the long ones are kept.
SHORT_CHARACTERS = 200
SHORT_KEPT = 2_048
LONG_KEPT = 64


class Expression:
    """One checked expression. It is never written to after it was made, so any number of threads may share it."""

    __slots__ = ("_shortcut", "_tree", "roots", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._tree = read(text)
        self.roots = roots(self._tree)
        self._shortcut = shortcut(self._tree)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def evaluate(self, scopes: Mapping[str, Any]) -> Any:
        """The JSON value for these scopes (top-level name → JSON value), which are not changed.

        JSONata's undefined (a missing field, an empty filter) becomes None, as null does. The result shares no list or
        object with the scopes. Raises `ExpressionError` and nothing else.
        """
        root = scopes if isinstance(scopes, dict) else dict(scopes)
        machine = Machine()
        try:
            return exported(self._raw(machine, root))
        except ExpressionError as error:
            if error.position is None:
                error.position = _position(machine)
            raise
        except JException as error:
            place = error.location if error.location > 0 else _position(machine)
            raise ExpressionError(spoken(error), place) from None
        except RecursionError:
            raise ExpressionError("The values are nested too deeply for this expression.", _position(machine)) from None
        except OverflowError:
            raise ExpressionError("A number became too large.", _position(machine)) from None
        except Exception:
            # The library meets some wrong types with whatever Python raises; the text of that would help nobody.
            message = "This cannot be computed: a value is missing, null or of the wrong kind."
            raise ExpressionError(message, _position(machine)) from None

    def _raw(self, machine: Machine, root: dict[str, Any]) -> Any:
        if self._shortcut is not None:
            try:
                return self._shortcut(machine, root)
            except (NeedsEvaluator, ExpressionError, JException):
                # The evaluator fails in the same way, and knows where.
                pass
        return machine.run(self._tree, root)


def parse(text: str) -> Expression:
    """Read and check an expression; the same text gives the same object while it is kept. Raises `ExpressionError`."""
    return _short(text) if len(text) <= SHORT_CHARACTERS else _long(text)


_short = lru_cache(maxsize=SHORT_KEPT)(Expression)
_long = lru_cache(maxsize=LONG_KEPT)(Expression)


def referenced_roots(expression: Expression) -> frozenset[str]:
    """The top-level names that an expression reads, for checking them against the scopes there will be."""
    return expression.roots


def _position(machine: Machine) -> int:
    """The place of the node that was evaluated last; the start if none was."""
    return 0 if machine.at is None else int(machine.at.position)
