"""The shape of the house: who may import whom, and how long a file, a function or a template may grow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Packages and modules of domain/, left to right: each may import those before it and itself.
ORDER = [
    "domain.kernel",
    "domain.timing",
    "domain.accounts",
    "domain.expressions",
    "domain.workflows",
    "domain.extensions",
    "domain.schedules",
    "domain.runs",
    "domain.firing",
    "domain.events",
    "domain.engine",
    "domain.execution",
    "domain.publishing",
    "domain.upgrades",
    "domain.bundles",
    "domain.fire_minutes",
    "domain.health",
    "domain.invariant_sources",
    "domain.invariants",
    "domain.invariant_checks",
    "domain.pruning",
    "domain.metrics",
    "domain.demo_workflows",
    "domain.demo_orders",
    "domain.demo_extensions",
    "domain.demo",
    "domain.tables",
]
# `kernel` names an error that timing raises, and timing is pure: nothing else goes from left to right.
FOREIGN = {
    "domain": {"web", "workers", "app", "dramatiq", "apscheduler", "redis", "wtforms", "flask_wtf", "flask", "jinja2"},
    "web": {"workers", "app", "sqlalchemy", "dramatiq", "apscheduler", "psycopg"},
    "workers": {"web", "app", "wtforms", "flask_wtf"},
}
LONGEST_FILE, LONGEST_FUNCTION, LONGEST_TEMPLATE = 300, 40, 80
BANNED = ("manager", "service", "helper", "util", "handler", "data", "info")


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """The modules a file imports, those for type checkers included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def place(module: str) -> int | None:
    found = [index for index, name in enumerate(ORDER) if module == name or module.startswith(f"{name}.")]
    return found[0] if found else None


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("folder", FOREIGN)
def test_a_layer_imports_nothing_it_must_not_know(folder: str) -> None:
    wrong = [
        f"{module_of(path)} imports {name}"
        for path in sources(folder)
        for name in imports(path)
        if name.partition(".")[0] in FOREIGN[folder]
    ]
    assert wrong == []


def test_packages_of_the_domain_import_only_those_to_their_left() -> None:
    wrong = []
    for path in sources("domain"):
        mine = place(module_of(path))
        if module_of(path) == "domain":
            continue
        assert mine is not None, f"{module_of(path)} has no place in the order"
        for name in imports(path):
            theirs = place(name)
            if theirs is not None and theirs > mine:
                wrong.append(f"{module_of(path)} imports {name}")
    assert wrong == []


def test_nobody_imports_the_composition_root() -> None:
    assert [module_of(path) for path in sources("domain", "web", "workers") if "app" in set(imports(path))] == []


def test_the_wall_clock_is_read_in_one_place() -> None:
    calls = ("datetime.now(", "datetime.utcnow(", "date.today(", "time.time()")
    found = [
        path.relative_to(ROOT).as_posix()
        for path in [ROOT / "app.py", *sources("domain", "web", "workers")]
        if any(call in path.read_text() for call in calls)
    ]
    assert found == ["domain/kernel/clock.py"]


def test_files_functions_and_templates_stay_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in [ROOT / "app.py", *sources("domain", "web", "workers")]
        if (lines := len(path.read_text().splitlines())) > LONGEST_FILE
    ]
    long += [
        f"{path.relative_to(ROOT)}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path in [ROOT / "app.py", *sources("domain", "web", "workers")]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    long += [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in sorted((ROOT / "templates").rglob("*.html"))
        if (lines := len(path.read_text().splitlines())) > LONGEST_TEMPLATE
    ]
    assert long == []


def test_names_say_what_a_thing_is() -> None:
    """A name made only of a word like `data` or `manager` says nothing."""
    wrong = [
        f"{module_of(path)}: {node.name}"
        for path in sources("domain", "web", "workers")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and any(part in BANNED for part in node.name.lower().strip("_").split("_"))
    ]
    assert wrong == []


@pytest.mark.parametrize("word", ["speak_as", "lift"])
def test_only_the_command_line_speaks_for_others_or_lifts_the_limit(word: str) -> None:
    """It does so in its own process, which serves nobody."""
    naming = {
        path.relative_to(ROOT).as_posix()
        for path in [*ROOT.glob("*.py"), *sources("domain", "web", "workers", "migrations")]
        for node in ast.walk(ast.parse(path.read_text()))
        if word in (getattr(node, "attr", None), getattr(node, "id", None), getattr(node, "name", None))
    }
    assert "carillon.py" in naming and naming <= {"carillon.py", "web/access.py", "web/throttle.py"}
