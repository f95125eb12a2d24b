"""The steps of a run as a tree, for drawing: branches below their step, a loop's items as groups that fold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from markupsafe import Markup

from domain.runs.details import StepKey, StepRow
from domain.runs.steps import FAILED, STARTED, SUCCEEDED, WAITING
from web.bars import span_bar

OPEN_ITEMS = 3
"""A loop with more items than this shows them folded."""

_NESTED = re.compile(r"(.+)\.(\w+)\.steps\[\d+\]")
_TONES = {SUCCEEDED: "ok", FAILED: "fail", STARTED: "run", WAITING: "run"}


@dataclass
class Item:
    """One turn of a loop; `number` counts from 1."""

    number: int
    key: str
    nodes: list[Node] = field(default_factory=list)
    is_open: bool = True


@dataclass
class Node:
    """One step: its latest attempt and all of them, the branch of its parent that it stands in, and what is below it."""

    step: StepRow
    attempts: list[StepRow] = field(default_factory=list)
    branch: str = ""
    nodes: list[Node] = field(default_factory=list)
    items: dict[int, Item] = field(default_factory=dict)


@dataclass(frozen=True)
class Axis:
    """The time axis of a run, from its first claim to its end, or to now. What was left open when it ended is amber."""

    start: datetime
    end: datetime
    is_over: bool = False

    def bar(self, steps: Sequence[StepRow]) -> Markup:
        """Where these steps together lie on the axis."""
        first, last = min(step.started_at for step in steps), max(step.finished_at or self.end for step in steps)
        length = max((self.end - self.start).total_seconds(), 1e-6)
        offset, share = (first - self.start).total_seconds() / length, (last - first).total_seconds() / length
        tone = tone_of(steps)
        return span_bar(offset, share, "held" if self.is_over and tone == "run" else tone)

    def seconds(self, steps: Sequence[StepRow]) -> float:
        """From the first start to the last end, or to the end of the axis while one is open."""
        first, last = min(step.started_at for step in steps), max(step.finished_at or self.end for step in steps)
        return (last - first).total_seconds()


def tone_of(steps: Iterable[StepRow]) -> str:
    """The tone of the worst of these steps."""
    found = {step.status for step in steps}
    return next((_TONES[status] for status in (FAILED, STARTED, WAITING) if status in found), "ok")


def shown_status(status: str, is_over: bool) -> str:
    """The status of a step as its label is found by; nobody knows how an attempt ended that its run left behind."""
    if status == STARTED:
        return "unknown" if is_over else "running"
    return "canceled" if is_over and status == WAITING else status


def steps_in(item: Item) -> list[StepRow]:
    """Every step of one turn of a loop, whatever its depth."""
    return list(_steps_of(item.nodes))


def missing_parents(steps: Sequence[StepRow]) -> list[StepKey]:
    """What stands above these steps and is not among them."""
    here = {step.key for step in steps}
    above = {parent: None for step in steps for parent in _ancestors(step.key)}
    return [key for key in above if key not in here]


def step_tree(steps: Sequence[StepRow], selected: StepKey | None) -> list[Node]:
    """The top of the tree of `steps`, which are in the order of recording; a step whose parent is missing is at the top."""
    nodes: dict[StepKey, Node] = {}
    top: list[Node] = []
    for step in steps:
        if step.key in nodes:
            node = nodes[step.key]
            node.attempts.append(step)
            node.step = max(node.attempts, key=lambda one: one.attempt)
            continue
        node = nodes[step.key] = Node(step, [step])
        _place(node, nodes, top)
    for node in nodes.values():
        _fold(node, selected)
    return top


def _place(node: Node, nodes: dict[StepKey, Node], top: list[Node]) -> None:
    found = _parent(node.step.key)
    parent = nodes.get(found[0]) if found else None
    if found is None or parent is None:
        top.append(node)
        return
    _, node.branch, index = found
    if index is None:
        parent.nodes.append(node)
    else:
        key = f"{parent.step.step_path}-{node.step.iteration}"
        parent.items.setdefault(index, Item(index + 1, key)).nodes.append(node)


def _fold(node: Node, selected: StepKey | None) -> None:
    is_short = len(node.items) <= OPEN_ITEMS
    for item in node.items.values():
        steps = steps_in(item)
        item.is_open = is_short or tone_of(steps) != "ok" or any(step.key == selected for step in steps)


def _steps_of(nodes: Iterable[Node]) -> Iterator[StepRow]:
    for node in nodes:
        yield node.step
        yield from _steps_of(node.nodes)
        for item in node.items.values():
            yield from _steps_of(item.nodes)


def _parent(key: StepKey) -> tuple[StepKey, str, int | None] | None:
    """The step above, the branch below it, and which turn if that is the body of a loop."""
    nested = _NESTED.fullmatch(key[0])
    if nested is None:
        return None
    path, branch = nested.groups()
    if branch != "body":
        return (path, key[1]), branch, None
    outer, _, index = key[1].rpartition(".")
    return (path, outer), branch, int(index or 0)


def _ancestors(key: StepKey) -> Iterator[StepKey]:
    while found := _parent(key):
        key = found[0]
        yield key
