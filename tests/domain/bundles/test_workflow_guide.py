"""The published schema and the guide say what the code does, and real exports fit them."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from domain.bundles.documents import bundle_bytes, read_bundle
from domain.bundles.exporting import export_bundle
from domain.bundles.schema import SCHEMA
from tests.domain.bundles.bundle_files import a_document, an_entry
from tests.factories import a_published_workflow, a_tenant, a_triggered_workflow, a_workflow
from tests.servers import ROOT

GUIDE = (ROOT / "docs" / "workflow-bundles.md").read_text()
PUBLISHED = json.loads((ROOT / "docs" / "schemas" / "workflow-bundle.v1.schema.json").read_text())
ORACLE = jsonschema.Draft202012Validator(PUBLISHED)


def example() -> str:
    found = re.search(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found[1]


def test_the_published_schema_is_the_one_that_files_are_checked_with() -> None:
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)
    assert PUBLISHED == SCHEMA


def test_the_example_of_the_guide_is_a_bundle_in_canonical_form() -> None:
    document = json.loads(example())
    assert list(ORACLE.iter_errors(document)) == []
    written = json.loads(bundle_bytes(read_bundle(example().encode())))
    assert written == document
    assert json.dumps(document) == json.dumps(written), "the example has its keys in canonical order"


@pytest.mark.usefixtures("db")
def test_real_exports_fit_the_published_schema() -> None:
    tenant = a_tenant()
    a_published_workflow(tenant, "Published")
    a_workflow(tenant, "A draft", draft_schema_ref=None, concurrency_limit=None, failure_rate_threshold=0.1)
    a_triggered_workflow(tenant, "On payment", "invoice.paid")
    exported = export_bundle(tenant.id)
    assert list(ORACLE.iter_errors(json.loads(exported))) == []
    assert bundle_bytes(read_bundle(exported)) == exported


@pytest.mark.parametrize(
    "break_it",
    [
        lambda entry: entry.pop("draft"),
        lambda entry: entry["metadata"].pop("trigger"),
        lambda entry: entry["metadata"].update(createdBy="alice"),
        lambda entry: entry.update(key="Not A Key"),
        lambda entry: entry["publishedVersions"][0].update(version=0),
        lambda entry: entry["publishedVersions"][0].update(definition=[]),
    ],
)
def test_what_the_schema_forbids_is_refused_by_both_readers(break_it: Any) -> None:
    entry = an_entry()
    break_it(entry)
    assert list(ORACLE.iter_errors(a_document(entry))) != []


@pytest.mark.parametrize("code", sorted(set(re.findall(r"^\| `([A-Z_]+)` \| \d+", GUIDE, re.MULTILINE))))
def test_every_code_of_the_guide_is_in_the_code(code: str) -> None:
    texts = "".join(path.read_text() for path in (ROOT / "domain" / "bundles").glob("*.py"))
    assert f'"{code}"' in texts
