"""Reading an expression: JSONata's parser, and the walk that lets through only what is pure and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import re2
from jsonata.jexception import JException
from jsonata.parser import Parser

from domain.expressions.functions import CARILLON, FUNCTIONS, TAKES_PATTERN
from domain.expressions.limits import MAX_CHARACTERS, ExpressionError

MAX_NESTING = 100  # brackets inside brackets, in the text
MAX_TREE_DEPTH = 250
MAX_TREE_NODES = 5_000
NOW, NOW_PATH = "nowIso", "$$.system.now"
PATTERN_BYTES = 1_000_000  # of one compiled regular expression

_VALUES = ("name", "string", "number", "value", "variable", "regex", "wildcard", "descendant")
_ALLOWED = frozenset((*_VALUES, "path", "binary", "unary", "condition", "block", "function", "apply", "sort"))
_FORBIDDEN = {
    "lambda": "Functions cannot be defined in expressions.",
    "partial": "Functions cannot be applied in part.",
    "transform": "The transform operator |…| is not available. Build the new object with {…}.",
    "bind": "Variables cannot be set with := in expressions. Use a transform.assign step.",
    "parent": "The parent operator % is not available. Name the whole path instead.",
}
_PARTS = ("lhs", "rhs", "expression", "procedure", "condition", "then", "_else", "expr")
_PART_LISTS = ("steps", "predicate", "stages", "expressions", "arguments", "terms")


class _Parser(Parser):  # type: ignore[misc]
    """JSONata's parser; reads `==` as `=`, as older definitions write it, and stops where the tree explodes."""

    def __init__(self) -> None:
        super().__init__()
        self.dbg = False
        self.processed = 0

    def advance(self, id: str | None = None, infix: bool = False) -> Any:
        node = super().advance(id, infix)
        if node.type == "operator" and node.value == "=" and self.lexer.path.startswith("=", self.lexer.position):
            self.lexer.position += 1
        return node

    def process_ast(self, expr: Any) -> Any:
        # `a ?: b` has its left side processed twice, and so on for every level inside.
        self.processed += 1
        if self.processed > MAX_TREE_NODES:
            raise ExpressionError("This expression has too many parts. Split it over several steps.")
        return super().process_ast(expr)


def read(text: str) -> Any:
    """The checked syntax tree of an expression. Raises `ExpressionError` with what is wrong and where."""
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"An expression may have at most {MAX_CHARACTERS:,} characters.")
    if not text.strip():
        raise ExpressionError("The expression is empty.", 0)
    _check_nesting(text)
    try:
        tree = _Parser().parse(text, _pattern)
    except ExpressionError:
        raise
    except JException as error:
        raise ExpressionError(spoken(error), max(error.location, 0)) from None
    except RecursionError:
        raise ExpressionError("This expression is nested too deeply.") from None
    except Exception:
        # The library's reader meets some broken endings with an IndexError or KeyError.
        raise ExpressionError("This is not a complete expression.", len(text)) from None
    _check_tree(tree, depth=0, is_pattern_allowed=False)
    return _slim(tree)


def spoken(error: JException) -> str:
    """The library's message in words for people."""
    message = str(error).replace("Object", "function").replace("{}", "this").strip()
    return (message if len(message) <= 200 else message[:200] + "…").rstrip(".") + "."


def roots(tree: Any) -> frozenset[str]:
    """The top-level names a tree reads: `payload` of `payload.x`, of `$.payload` and of `items[$$.payload.y > 1]`."""
    return frozenset(_roots(tree, at_root=True))


def _roots(node: Any, at_root: bool) -> Iterator[str]:
    inner: list[Any] = [pair for pairs in (node.group.lhs_object if node.group else ()) for pair in pairs]
    inner += [stage.expr for stage in (node.predicate or ()) if stage.expr]
    if node.type == "path":
        yield from _path_roots(node.steps, at_root)
    else:
        inner += [stage.expr for stage in (node.stages or ()) if stage.expr]
        if node.type == "sort":
            inner += [term.expression for term in node.terms]
        else:
            for part in _members(node):
                yield from _roots(part, at_root)
    for part in inner:
        yield from _roots(part, at_root=False)


def _path_roots(steps: list[Any], at_root: bool) -> Iterator[str]:
    named = steps[0]
    if named.type == "variable" and len(steps) > 1 and (at_root or named.value == "$"):
        at_root, named = True, steps[1]
    if at_root and named.type == "name":
        yield named.value
    for index, step in enumerate(steps):
        yield from _roots(step, at_root and index == 0)


def _members(node: Any) -> Iterator[Any]:
    """The parts of a node that are evaluated for the same context as the node."""
    for name in ("lhs", "rhs", "expression", "condition", "then", "_else"):
        if getattr(node, name) is not None:
            yield getattr(node, name)
    for name in ("expressions", "arguments"):
        yield from getattr(node, name) or ()
    for pair in node.lhs_object or ():
        yield from pair


class Node:
    """A node of a checked tree with the attributes that the evaluator asks for; those at their default take no room."""

    def __init__(self, symbol: Any) -> None:
        for name, value in vars(symbol).items():
            if name != "_outer_instance" and value != getattr(Node, name):
                setattr(self, name, _slim(value))


for _name, _default in vars(Parser.Symbol(None)).items():
    setattr(Node, _name, _default)


def _slim(part: Any) -> Any:
    """A copy without the library's ties from each node to its whole parser, which would weigh 100 kB per expression."""
    if isinstance(part, Parser.Symbol):
        return Node(part)
    return [_slim(member) for member in part] if isinstance(part, list) else part


def _check_nesting(text: str) -> None:
    depth = 0
    quote = ""
    escaped = False
    for position, letter in enumerate(text):
        if quote:
            if escaped:
                escaped = False
            elif letter == "\\" and quote != "`":
                escaped = True
            elif letter == quote:
                quote = ""
        elif letter in "\"'`":
            quote = letter
        elif letter in "([{":
            depth += 1
            if depth > MAX_NESTING:
                raise ExpressionError(f"Brackets may be nested at most {MAX_NESTING} deep.", position)
        elif letter in ")]}":
            depth -= 1


def _pattern(pattern: str, flags: Any) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_BYTES
    options.case_sensitive = not flags.case_insensitive
    prefix = "(?m)" if flags.multiline else ""
    try:
        return re2.compile(prefix + pattern, options)
    except (re2.error, UnicodeError):
        message = f"The regular expression /{pattern[:60]}/ cannot be used (look-around and back-references never can)."
        raise ExpressionError(message) from None


def _check_tree(node: Any, depth: int, is_pattern_allowed: bool) -> None:
    if depth > MAX_TREE_DEPTH:
        raise ExpressionError("This expression is nested too deeply.", node.position)
    if node.type in _FORBIDDEN:
        raise ExpressionError(_FORBIDDEN[node.type], node.position)
    if node.focus is not None or node.index is not None or node.tuple:
        raise ExpressionError("The operators @, # and % are not available. Name the whole path instead.", node.position)
    if node.type in _ALLOWED:
        _check_kind(node, is_pattern_allowed)
    elif node.type not in (None, "filter"):
        raise ExpressionError(f"This cannot be used in expressions: {node.value}.", node.position)
    takes_pattern = node.type == "function" and node.procedure.value in TAKES_PATTERN
    for part in _all_parts(node):
        _check_tree(part, depth + 1, takes_pattern)


def _check_kind(node: Any, is_pattern_allowed: bool) -> None:
    if node.type == "variable" and node.value not in ("", "$"):
        raise ExpressionError(
            f"There is no variable ${node.value}. Read scopes by name, such as vars.total.", node.position
        )
    if node.type == "regex" and not is_pattern_allowed:
        raise ExpressionError("A regular expression may only be an argument of a text function.", node.position)
    if node.type == "function":
        _check_function(node)
    if node.type == "apply" and node.rhs.type not in ("function", *_FORBIDDEN):
        raise ExpressionError("On the right of ~> a function must be called, such as $sum().", node.position)


def _check_function(node: Any) -> None:
    procedure = node.procedure
    if _name_of(procedure) == NOW and not node.arguments:
        # The only time there is: the recorded start of the step.
        vars(node).update(vars(_Parser().parse(NOW_PATH, _pattern)) | {"position": node.position})
        return
    if procedure.type == "path" and len(procedure.steps) == 1 and procedure.steps[0].value in CARILLON:
        procedure.type, procedure.value, procedure.steps = "variable", procedure.steps[0].value, None
    if procedure.type == "path" and procedure.steps[-1].type == "name":
        raise ExpressionError(
            f"The function {procedure.steps[-1].value} is not available in expressions.", node.position
        )
    if procedure.type != "variable":
        raise ExpressionError("Functions are called by name, such as $sum(items.price).", node.position)
    if procedure.value not in FUNCTIONS:
        raise ExpressionError(f"The function ${procedure.value} is not available in expressions.", node.position)


def _name_of(procedure: Any) -> str | None:
    if procedure.type == "path":
        procedure = procedure.steps[0] if len(procedure.steps) == 1 else procedure
    return str(procedure.value) if procedure.type in ("name", "variable") else None


def _all_parts(node: Any) -> Iterator[Any]:
    for name in _PARTS:
        part = getattr(node, name)
        # The name of a function is checked with its call and is no variable.
        if part is not None and name != "procedure":
            yield part
    for name in _PART_LISTS:
        yield from getattr(node, name) or ()
    for pairs in (node.lhs_object, node.group.lhs_object if node.group else None):
        for pair in pairs or ():
            yield from pair
