"""Manifests: what is accepted, what is put into one form, and what is refused where."""

from __future__ import annotations

from typing import Any

import pytest

from domain.extensions.manifests import content_hash, parse_manifest, parse_version, precedence, readable_endpoints
from domain.kernel.errors import Refused
from tests.factories import a_manifest


def problems(value: Any) -> dict[str, str]:
    with pytest.raises(Refused) as refusal:
        parse_manifest(value)
    return {problem.path: problem.code for problem in refusal.value.problems}


def one_endpoint(**values: Any) -> dict[str, Any]:
    return a_manifest(endpoints=[{"method": "POST", "path": "/api/sync", "handler": "dist/main"} | values])


def test_a_manifest_says_who_it_is_what_it_needs_and_what_can_be_called() -> None:
    manifest = parse_manifest(a_manifest("1.4.0", capabilities=[" CAP:http.fetch ", "cap:http.fetch", "cap:log.emit"]))

    assert (manifest.name, manifest.publisher, manifest.version) == ("com.acme.rmm-sync", "Acme", "1.4.0")
    assert manifest.capabilities == ("cap:http.fetch", "cap:log.emit")
    assert [(one.method, one.path) for one in manifest.endpoints] == [
        ("POST", "/api/sync"),
        ("GET", "/api/health"),
        ("GET", "/api/devices/:id"),
    ]


def test_methods_and_paths_are_put_into_one_form() -> None:
    manifest = parse_manifest(one_endpoint(method=" post ", path="api//sync///now/"))

    assert [(one.method, one.path) for one in manifest.endpoints] == [("POST", "/api/sync/now/")]


@pytest.mark.parametrize("path", ["/api/%C3%BCber", "/a;v=1/b", "/a..b/c", "/a/...", "/100%25", "/%zz", "/%E2%82%AC"])
def test_a_path_that_leads_nowhere_else_is_taken(path: str) -> None:
    assert parse_manifest(one_endpoint(path=path)).endpoints[0].path == path


def test_of_equal_endpoints_the_last_one_counts() -> None:
    endpoints = [
        {"method": "get", "path": "//a", "handler": "first"},
        {"method": "GET", "path": "/a", "handler": "last"},
    ]

    manifest = parse_manifest(a_manifest(endpoints=endpoints))

    assert [one.handler for one in manifest.endpoints] == ["last"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "needs a path"),
        (None, "needs a path"),
        (7, "needs a path"),
        ("/api/a b", "no spaces"),
        ("/api/\n", None),
        ("/api/a\tb", "no spaces"),
        ("/über", "ASCII"),
        ("/api?x=1", "cannot contain ?"),
        ("/api#top", "cannot contain #"),
        ("/api\\x", "cannot contain \\"),
        ("/api/../admin", "as a part"),
        ("/api/%2e%2E/admin", "as a part"),
        ("/api/%252e%252e/admin", "as a part"),
        ("/api/./admin", "as a part"),
        ("/api/..%2fadmin", "as a part"),
        ("/api/..%252Fadmin", "as a part"),
        ("/api/%2e%2e%5cadmin", "as a part"),
        ("/api/..;/admin", "as a part"),
        ("/api/..;x=1/admin", "as a part"),
        ("/api%0d%0aX-Evil:%201", "control characters"),
        ("/api/a%00", "control characters"),
        ("/api/a%2500", "control characters"),
        ("/" + "a" * 1024, "at most 1,024"),
    ],
)
def test_a_malformed_path_is_refused_with_the_reason(path: Any, words: str | None) -> None:
    manifest = one_endpoint(path=path)
    if words is None:  # blanks at the ends are taken away
        assert parse_manifest(manifest).endpoints[0].path == "/api/"
        return
    with pytest.raises(Refused) as refusal:
        parse_manifest(manifest)
    assert [problem.path for problem in refusal.value.problems] == ["/api/endpoints/0/path"]
    assert words in refusal.value.problems[0].message


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"method": "FETCH"}, "/api/endpoints/0/method"),
        ({"method": None}, "/api/endpoints/0/method"),
        ({"handler": ""}, "/api/endpoints/0/handler"),
        ({"handler": "../main"}, "/api/endpoints/0/handler"),
        ({"requestSchema": []}, "/api/endpoints/0/requestSchema"),
        ({"requestSchema": {"type": "strange"}}, "/api/endpoints/0/requestSchema/type"),
    ],
)
def test_what_is_wrong_with_an_endpoint_is_said_where_it_is(values: dict[str, Any], path: str) -> None:
    assert list(problems(one_endpoint(**values))) == [path]


def test_the_schema_of_a_body_is_kept_with_its_endpoint() -> None:
    schema = {"type": "object", "properties": {"full": {"type": "boolean"}}}

    assert parse_manifest(one_endpoint(requestSchema=schema)).endpoints[0].request_schema == schema


def test_everything_that_is_wrong_is_said_at_once() -> None:
    manifest = a_manifest("1.4", endpoints=["FETCH /a", "GET /b b"], name="RMM", publisher="", runtime="wasm")
    manifest |= {"capabilities": ["cap:http.fetch", "cap:everything", 3], "handlers": [], "contentHash": "sha256:12"}

    assert problems(manifest) == {
        "/handlers": "MANIFEST_KEY",
        "/name": "EXTENSION_NAME_INVALID",
        "/publisher": "NAME_REQUIRED",
        "/version": "VERSION_INVALID",
        "/runtime": "RUNTIME_INVALID",
        "/capabilities/1": "CAPABILITY_UNKNOWN",
        "/capabilities/2": "CAPABILITY_UNKNOWN",
        "/api/endpoints/0/method": "METHOD_INVALID",
        "/api/endpoints/1/path": "PATH_INVALID",
        "/contentHash": "CONTENT_HASH_INVALID",
    }


@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_a_manifest_is_an_object(value: Any) -> None:
    assert problems(value) == {"": "MANIFEST_ROOT"}


@pytest.mark.parametrize("api", [[], "x", None, {"endpoints": {}}, {"endpoints": None}])
def test_endpoints_are_a_list(api: Any) -> None:
    assert problems(a_manifest() | {"api": api}) == {"/api/endpoints": "ENDPOINTS_INVALID"}


def test_a_version_has_a_bounded_number_of_endpoints() -> None:
    assert len(parse_manifest(a_manifest(endpoints=[f"GET /{at}" for at in range(500)])).endpoints) == 500
    assert problems(a_manifest(endpoints=[f"GET /{at}" for at in range(501)])) == {
        "/api/endpoints": "ENDPOINTS_TOO_MANY"
    }


def test_an_extension_without_endpoints_can_be_published() -> None:
    manifest = a_manifest()
    del manifest["api"]

    assert parse_manifest(manifest).endpoints == ()


def test_parts_for_other_hosts_are_kept() -> None:
    manifest = a_manifest() | {"ui": {"type": "iframe"}, "assets": ["ui/**/*"]}

    assert parse_manifest(manifest).document == manifest


def test_the_hash_names_the_content_and_not_how_it_is_written() -> None:
    one, other = a_manifest(), dict(reversed(a_manifest().items()))
    changed = a_manifest(publisher="Acme Ltd")

    hashes = [content_hash(parse_manifest(manifest)) for manifest in (one, other, changed)]

    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[0].startswith("sha256:") and len(hashes[0]) == 71


def test_a_manifest_may_name_the_hash_of_its_bundle() -> None:
    digest = "sha256:" + "ab" * 32

    assert content_hash(parse_manifest(a_manifest() | {"contentHash": digest})) == digest


def test_what_cannot_be_read_of_a_stored_manifest_is_left_out() -> None:
    manifest = a_manifest(endpoints=["GET /a", "FETCH /b", 7, "GET /c c"])

    assert [one.path for one in readable_endpoints(manifest)] == ["/a"]
    assert [readable_endpoints(one) for one in ({}, None, {"api": 1}, {"api": None})] == [[], [], [], []]


@pytest.mark.parametrize(
    "version", ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "v1.2.3", "1.2.*", None]
)
def test_what_is_no_version_number_is_refused(version: Any) -> None:
    with pytest.raises(Refused):
        parse_version(version)


def test_versions_are_ordered_by_their_numbers() -> None:
    # the example of SemVer 2.0.0 §11, and numbers of two digits
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"]
    ordered += ["1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0"]

    shuffled = ordered[::2] + ordered[1::2]

    assert sorted(shuffled, key=precedence) == ordered


@pytest.mark.parametrize(
    "manifest",
    [
        a_manifest(capabilities=["x"] * 60_000),
        a_manifest() | {f"k{number}": 1 for number in range(20_000)},
        a_manifest(endpoints=[{"method": "?", "path": "?", "handler": ".."}] * 500),
        a_manifest(endpoints=["POST /a"] * 10_000),
    ],
    ids=["capabilities", "keys", "endpoints", "too many endpoints"],
)
def test_what_is_said_of_a_hostile_manifest_is_not_longer_than_itself(manifest: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refusal:
        parse_manifest(manifest)
    assert sum(len(problem.path) + len(problem.message) for problem in refusal.value.problems) < 20_000
