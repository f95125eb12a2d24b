"""Each step of a typed definition is found at its line, whatever stands around it."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.workflows.definition_lines import step_lines, syntax_line
from domain.workflows.definitions import BRANCHES, OutlineStep, outline

NOISE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text('a"\\{}[],:\n€'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"\\{,', max_size=3), inner, max_size=3),
    max_leaves=6,
)
STEPS = st.recursive(
    st.fixed_dictionaries({"config": NOISE}),
    lambda inner: st.fixed_dictionaries(
        {"before": NOISE}, optional={branch: st.lists(inner, max_size=3) for branch in BRANCHES}
    ),
    max_leaves=8,
)


def with_ids(step: dict[str, Any], numbers: Any) -> dict[str, Any]:
    """The step with an id of its own in front, and so all within it."""
    inner = {
        key: [with_ids(one, numbers) for one in value] if key in BRANCHES else value for key, value in step.items()
    }
    return {"id": f"step-{next(numbers)}", **inner}


def all_of(steps: tuple[OutlineStep, ...]) -> list[OutlineStep]:
    inner = [one for step in steps for _, branch in step.branches for one in all_of(branch)]
    return [*steps, *inner]


@given(st.lists(STEPS, max_size=4), st.dictionaries(st.sampled_from(["note", "then", "x"]), NOISE))
def test_every_step_of_the_outline_is_found_where_its_bracket_stands(steps: Any, around: Any) -> None:
    numbers = count()
    definition = {**around, "steps": [with_ids(step, numbers) for step in steps]}
    text = json.dumps(definition, indent=1)

    lines = step_lines(text)

    drawn = all_of(outline(definition))
    assert set(lines) == {step.path for step in drawn}
    shown = text.split("\n")
    for step in drawn:
        assert shown[lines[step.path] - 1].strip() == "{"
        assert shown[lines[step.path]].strip().rstrip(",") == f'"id": "{step.id}"'


@pytest.mark.parametrize("text", ["", "{", "[1, 2", '{"steps": [}', "nonsense", '"steps"', "[]", "[" * 10_000])
def test_what_is_no_definition_has_no_steps(text: str) -> None:
    assert step_lines(text) == {}


@pytest.mark.parametrize(
    ("text", "line"),
    [('{"a": 1}', None), ("", 1), ('{\n "a": 1,\n}', 3), ('{\n "a": 1\n "b": 2}', 3), ("[" * 10_000, None)],
)
def test_a_mistake_in_the_text_has_a_line(text: str, line: int | None) -> None:
    assert syntax_line(text) == line
