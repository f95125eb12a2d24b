"""Actions of a package that is really installed: a wheel, put into a place of its own, seen by processes of their own."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.servers import ROOT

GREETING = '''
"""Actions of Acme."""

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import TEXT, object_schema


def greet(inputs):
    return {"text": "Hello " + inputs["name"]}


def an_action(action_id="acme.greet", version=1, **changed):
    declared = dict(
        id=action_id,
        version=version,
        label="Greet",
        category="acme",
        description="Greets somebody.",
        input_schema=object_schema(name=TEXT),
        output_schema=object_schema(text=TEXT),
        effect=PURE,
        example=Example({"name": "Ada"}, {"text": "Hello Ada"}),
        run=greet,
    )
    return Action(**{**declared, **changed})


ONE = an_action()


def several():
    return [an_action("acme.wave"), an_action("acme.wave", 2)]


def mixed():
    return [
        an_action("acme.fine"),
        an_action("transform.trim_text", 2),
        an_action("acme.greet"),
        an_action("Acme Greet"),
        an_action("acme.zero", 0),
        an_action("acme.effect", effect="magic"),
        an_action("acme.schema", input_schema={"type": "object", "properties": {"x": {"$ref": "https://example.com"}}}),
        an_action("acme.example", example=Example({}, {"text": ""})),
        an_action("acme.silent", description=""),
        "no action",
    ]


def breaking():
    raise RuntimeError("no licence")


def leaving():
    raise SystemExit(3)
'''

RUN = """
from tests.domain.engine.engine_runs import call, give_back, run_steps
from tests.domain.engine.engine_runs import expr
from domain.engine.actions.registry import PACKAGES, REJECTED, find_action

result = run_steps(call("acme.greet", "said", name=expr("payload.who")), give_back(expr("said.text")), who="Ada")
print(result.status, result.output)
print(find_action("acme.wave", 2).label, PACKAGES["acme.wave", 2])
"""

LIST = """
from domain.engine.actions.registry import ACTIONS, REJECTED, find_action
from domain.engine.validation import definition_problems

print(sorted(key for key in ACTIONS if key[0].startswith("acme.")))
print(find_action("transform.trim_text", 1).label)
for one in REJECTED:
    print(one.package, "|", one.entry, "|", one.reason)
step = {"id": "s", "type": "action.call", "config": {"actionId": "acme.gret", "version": 1}}
print([problem.suggestion for problem in definition_problems({"steps": [step]})])
"""


def built_wheel(directory: Path, name: str, version: str, source: str, entries: dict[str, str]) -> Path:
    """A wheel with one module (PEP 427) and its entry points."""
    module = name.replace("-", "_")
    about = f"{module}-{version}.dist-info"
    lines = "".join(f"{entry} = {module}:{value}\n" for entry, value in entries.items())
    files = {
        f"{module}.py": source,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[carillon.actions]\n{lines}",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in files.items())
    wheel = directory / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{about}/RECORD": f"{record}{about}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return wheel


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def installed(directory: Path, *wheels: Path) -> Path:
    target = directory / "site"
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-index", "--no-deps"]
    # uv wants to know for which Python, and takes no environment that it would have to change.
    command = [*install, "--python", sys.executable, "--target", str(target), *map(str, wheels)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return target


def said(program: str, target: Path) -> list[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), str(ROOT)])}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_an_installed_package_adds_actions_that_workflows_use(tmp_path: Path) -> None:
    entries = {"one": "ONE", "several": "several"}
    target = installed(tmp_path, built_wheel(tmp_path, "acme-actions", "1.2", GREETING, entries))

    assert said(RUN, target) == ["succeeded Hello Ada", "Greet acme-actions 1.2"]


def test_what_is_broken_or_taken_is_left_out_with_its_reason_and_breaks_nothing(tmp_path: Path) -> None:
    good = built_wheel(tmp_path, "acme-actions", "1.2", GREETING, {"one": "ONE"})
    bad = built_wheel(
        tmp_path,
        "bad-actions",
        "0.1",
        GREETING,
        {"absent": "absent", "breaking": "breaking", "leaving": "leaving", "mixed": "mixed"},
    )
    worse = built_wheel(tmp_path, "worse-actions", "0.1", "import does_not_exist", {"any": "ANY"})

    lines = said(LIST, installed(tmp_path, good, bad, worse))

    keys, label, *rejected, suggestion = [line for line in lines if "left out" not in line]
    assert keys == "[('acme.fine', 1), ('acme.greet', 1)]"
    assert label == "Trim text"
    assert suggestion == "['Did you mean acme.greet?']"
    reasons = {tuple(line.split(" | ")[:2]): line.split(" | ")[2] for line in rejected}
    expected = {
        ("bad-actions 0.1", "absent"): "AttributeError",
        ("bad-actions 0.1", "breaking"): "RuntimeError: no licence",
        ("bad-actions 0.1", "leaving"): "SystemExit: 3",
        ("bad-actions 0.1", "transform.trim_text"): "its own win",
        ("bad-actions 0.1", "acme.greet"): "acme-actions 1.2 has this action",
        ("bad-actions 0.1", "Acme Greet"): "An id is words",
        ("bad-actions 0.1", "acme.zero"): "a whole number from 1 on",
        ("bad-actions 0.1", "acme.effect"): "one of the effects",
        ("bad-actions 0.1", "acme.schema"): "A schema is not accepted",
        ("bad-actions 0.1", "acme.example"): "Its example does not fit",
        ("bad-actions 0.1", "acme.silent"): "needs a label",
        ("bad-actions 0.1", "mixed"): "not an Action",
        ("worse-actions 0.1", "any"): "ModuleNotFoundError",
    }
    assert reasons.keys() == expected.keys()
    for place, reason in expected.items():
        assert reason in reasons[place]
    assert sum("left out" in line for line in lines) == len(expected)


@pytest.mark.parametrize(
    "source", ["", "ONE = 5", "def ONE(): return None", "ONE = []", "ONE = type('X', (), {'id': 3})()"]
)
def test_a_package_that_gives_something_else_breaks_nothing(tmp_path: Path, source: str) -> None:
    target = installed(tmp_path, built_wheel(tmp_path, "odd-actions", "1", source, {"odd": "ONE"}))

    keys, *_ = [line for line in said(LIST, target) if "left out" not in line]

    assert keys == "[]"
