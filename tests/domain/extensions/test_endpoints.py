"""Endpoints: made once for each version, with ids that stay, and which of them can be scheduled."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from domain.extensions.endpoints import (
    ExtensionEndpoint,
    endpoint_obstacle,
    endpoints_of,
    find_endpoint,
    materialise_endpoints,
)
from domain.extensions.extensions import ExtensionVersion
from domain.kernel.ids import new_id
from tests.factories import NOW, a_manifest, a_tenant, an_extension, an_extension_version
from tests.statements import counted


def an_unfilled_version(manifest: Any = None) -> ExtensionVersion:
    from domain.kernel.db import db

    version = ExtensionVersion(extension_id=an_extension(a_tenant()).id, version="1.0.0", content_hash="sha256:0")
    version.manifest, version.published_at = a_manifest() if manifest is None else manifest, NOW
    db.session.add(version)
    db.session.flush()
    return version


def test_endpoints_are_made_when_they_are_first_asked_for_and_keep_their_ids(db: Any) -> None:
    version = an_unfilled_version()

    first = [(one.id, one.called) for one in endpoints_of(version.id)]
    # Nothing is open any more that could still be undone.
    db.rollback()
    materialise_endpoints(db.get_one(ExtensionVersion, version.id))

    assert [(one.id, one.called) for one in endpoints_of(version.id)] == first
    assert [called for _, called in first] == ["GET /api/devices/:id", "GET /api/health", "POST /api/sync"]
    assert db.get_one(ExtensionVersion, version.id).endpoints_at is not None


def test_endpoints_that_are_there_are_read_with_two_statements(db: Any) -> None:
    version_id = an_extension_version(an_extension(a_tenant())).id
    with counted() as statements:
        endpoints_of(version_id)
    assert len(statements) == 2


def test_a_version_without_endpoints_is_looked_at_once(db: Any) -> None:
    version_id = an_unfilled_version({"api": "broken"}).id

    assert endpoints_of(version_id) == []
    with counted() as statements:
        assert endpoints_of(version_id) == []
    assert len(statements) == 2


def test_asking_for_an_unknown_version_makes_nothing(db: Any) -> None:
    assert endpoints_of(new_id()) == []
    assert db.scalar(select(func.count()).select_from(ExtensionEndpoint)) == 0


def test_an_endpoint_is_found_however_its_method_and_path_are_written(db: Any) -> None:
    version = an_extension_version(an_extension(a_tenant()))

    found = find_endpoint(version.id, "post", "api//sync")

    assert found is not None and found.called == "POST /api/sync"
    assert find_endpoint(version.id, "GET", "/api/sync") is None
    assert find_endpoint(version.id, "GET", "/API/health") is None
    assert find_endpoint(version.id, "FETCH", "/api/sync") is None


@pytest.mark.parametrize("called", ["GET /api/health", "POST /api/sync", "POST /"])
def test_get_and_post_without_parameters_can_be_scheduled(called: str) -> None:
    method, _, path = called.partition(" ")

    assert endpoint_obstacle(ExtensionEndpoint(method=method, path=path)) is None


@pytest.mark.parametrize(
    ("called", "words"),
    [
        ("PUT /api/sync", "Only GET and POST"),
        ("DELETE /api/sync", "Only GET and POST"),
        ("HEAD /api/sync", "Only GET and POST"),
        ("GET /api/devices/:id", "(:id)"),
        ("GET /api/{device}/x", "({device})"),
        ("POST /api/*", "(*)"),
    ],
)
def test_others_cannot_and_the_reason_is_said(called: str, words: str) -> None:
    method, _, path = called.partition(" ")

    assert words in str(endpoint_obstacle(ExtensionEndpoint(method=method, path=path)))
