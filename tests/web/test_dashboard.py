"""The example dashboard asks only for metrics that exist, with labels that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.core import GaugeMetricFamily

from domain import metrics
from domain.invariant_checks import check_invariants
from domain.kernel import clock
from domain.kernel.metrics import REGISTRY

GRAFANA = Path(__file__).resolve().parents[2] / "docs" / "grafana"
OPERATING = (GRAFANA.parent / "operating.md").read_text()
_METRIC = re.compile(r"(carillon_\w+)(?:\{([^}]*)\})?")
_BY = re.compile(r"by \(([^)]*)\)")


@pytest.fixture
def known(db: Any) -> dict[str, set[str]]:
    """The labels of every sample that may be told, by name."""
    check_invariants(clock.database_now())
    found: dict[str, set[str]] = {}
    for family in metrics._standing(clock.database_now()):
        assert isinstance(family, GaugeMetricFamily)
        found[family.name] = {*family._labelnames}
    for metric in REGISTRY._collector_to_names:
        labels = {*metric._labelnames}  # type: ignore[attr-defined]
        for name in REGISTRY._collector_to_names[metric]:
            found[name] = labels | {"le"} if name.endswith("_bucket") else labels
    return found


def queries() -> Iterator[str]:
    for panel in json.loads((GRAFANA / "dashboard.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_every_query_names_metrics_that_exist_and_labels_that_they_have(known: dict[str, set[str]]) -> None:
    asked = list(queries())
    assert len(asked) > 20
    for query in asked:
        named = _METRIC.findall(query)
        assert named, query
        for name, matchers in named:
            assert name in known, f"{name} in {query}"
            labels = {one.partition("=")[0].rstrip("!").strip() for one in matchers.split(",") if one}
            labels |= {label.strip() for group in _BY.findall(query) for label in group.split(",")}
            assert labels <= known[name], f"{labels - known[name]} of {name}"


def test_every_family_is_on_the_dashboard_and_in_the_guide(known: dict[str, set[str]]) -> None:
    shown = {name for query in queries() for name, _ in _METRIC.findall(query)}
    for metric in REGISTRY.collect():
        assert any(name.startswith(metric.name) for name in shown), metric.name
    for name in known:
        if not name.endswith(("_bucket", "_count", "_sum", "_created")) and (
            name.endswith("_total") or f"{name}_total" not in known
        ):
            assert f"`{name}`" in OPERATING, name


def test_the_files_for_provisioning_name_the_places_of_the_guide() -> None:
    guide = (GRAFANA / "README.md").read_text()
    path = re.search(r"path: (\S+)\}", (GRAFANA / "provisioning/dashboards/carillon.yaml").read_text())
    assert path and path[1] in guide
    assert {panel["datasource"]["uid"] for panel in json.loads((GRAFANA / "dashboard.json").read_text())["panels"]} == {
        "${datasource}"
    }
