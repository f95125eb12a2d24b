"""Expressions of workflow definitions: JSONata, restricted so that one always ends, quickly, with the same JSON value.

`parse(text)` reads and checks one; `Expression.evaluate(scopes)` computes it; `referenced_roots` names what it reads.
"""

from domain.expressions.expression import Expression, parse, referenced_roots
from domain.expressions.functions import FUNCTIONS
from domain.expressions.grammar import NOW
from domain.expressions.limits import EVALUATION_SECONDS, MAX_CHARACTERS, MAX_OUTPUT_CHARACTERS, ExpressionError

__all__ = [
    "EVALUATION_SECONDS",
    "FUNCTIONS",
    "MAX_CHARACTERS",
    "MAX_OUTPUT_CHARACTERS",
    "NOW",
    "Expression",
    "ExpressionError",
    "parse",
    "referenced_roots",
]
