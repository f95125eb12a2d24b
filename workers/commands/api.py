"""The API as commands speak to it: on the database that the environment names, or at an address with a token.

Both are the same API, so that a command says and does the same wherever it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click
import httpx
from flask import Flask

from domain.kernel.config import BadConfig, Config
from domain.kernel.ids import new_id, parse_id
from workers.commands.answers import shown
from workers.commands.failures import NOT_DONE, SETTINGS, Failed
from workers.commands.progress import waiting
from workers.process import code_version

Json = dict[str, Any]
LocalApi = Callable[[Config, str | None], AbstractContextManager[Flask]]

PAGE_MAX = 200
# Imports and exports of whole tenants take their time.
ANSWER_SECONDS, CONNECT_SECONDS = 120, 10
UNREACHED = "UNREACHED"
NAMED = {
    "/schedules": ("schedule", "schedules list"),
    "/workflow-definitions": ("workflow", "workflows list"),
    "/extensions": ("extension", "extensions list"),
}
"""What is found by a name: what one of them is called, and the command that lists them."""
_OWN_MACHINE = {"localhost", "127.0.0.1", "::1"}


class Api:
    """Requests below `/api`. Each raises ClickException with what was answered instead of what was asked for.

    `is_here`: it is the application inside this process, on the database of the environment.
    """

    def __init__(self, client: httpx.Client, *, is_here: bool) -> None:
        self._client = client
        self.is_here = is_here

    def get(self, path: str, **query: Any) -> Json:
        """The document at `path`. A parameter that is None or empty is left out."""
        return _document(self.send("GET", path, params=_said(query)))

    def file(self, path: str, **query: Any) -> bytes:
        """The bytes of the file at `path`."""
        return self.send("GET", path, params=_said(query)).content

    def post(self, path: str, body: Any = None, *, key: str | None = None, **query: Any) -> Json:
        """What the command at `path` answers. `key`: sending the same once more with it does nothing more."""
        return self._posted(path, key, query, json=body or {})

    def post_file(self, path: str, content: bytes, **query: Any) -> Json:
        """What the command at `path` answers to the bytes of a JSON file."""
        return self._posted(path, None, query, content=content)

    def _posted(self, path: str, key: str | None, query: Json, **body: Any) -> Json:
        headers = {"Idempotency-Key": key or str(new_id()), "Content-Type": "application/json"}
        answer = self.send("POST", path, headers=headers, params=_said(query), **body)
        return _document(answer) if answer.content else {}

    def delete(self, path: str) -> None:
        self.send("DELETE", path)

    def items(self, path: str, limit: int | None = None, **query: Any) -> Iterator[Json]:
        """What the list at `path` holds, page by page; at most `limit`."""
        cursor, left = None, limit
        while left is None or left > 0:
            page = self.get(path, cursor=cursor, limit=min(left or PAGE_MAX, PAGE_MAX), **query)
            yield from page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                return
            left = None if left is None else left - len(page["items"])

    def health(self) -> Json:
        """What `/healthz` says, also when it says that something is wrong."""
        answer = self._requested("GET", "/healthz")
        try:
            health: Json = answer.json()
            return {"problems": health["problems"]}
        except (ValueError, TypeError, KeyError):
            raise self._refused(answer) from None

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Any request; its answer when that says that it was carried out."""
        answer = self._requested(method, f"/api{path}", **request)
        if answer.is_success:
            return answer
        raise self._refused(answer)

    def _requested(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            with waiting("Waiting for an answer"):
                return self._client.request(method, path, **request)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise _unreached(str(self._client.base_url), error) from None

    def _refused(self, answer: httpx.Response) -> click.ClickException:
        problem = _problem(answer)
        if problem is None:
            return _not_carillon(answer)
        return Failed(_words(problem, is_here=self.is_here), problem)


@contextmanager
def api_at(local: LocalApi, url: str | None, token: str | None, slug: str | None) -> Iterator[Api]:
    """The API at `url`, or without one on the database of the environment, for the tenant `slug`. Raises ClickException."""
    if url:
        with _elsewhere(url, token, slug) as client:
            yield Api(client, is_here=False)
        return
    try:
        config = Config.from_env()
    except BadConfig as error:
        words = f"{error} Or say with --url where a Carillon answers."
        raise Failed(words, {"code": SETTINGS, "detail": words}) from error
    # A host name that is served; whether over https matters to browsers only.
    base = f"http://{next(iter(config.host_names), 'localhost')}"
    with (
        local(config, slug) as app,
        httpx.Client(transport=httpx.WSGITransport(app=app), base_url=base, trust_env=False) as client,
    ):
        yield Api(client, is_here=True)


def id_called(api: Api, path: str, called: str, *names: str, **query: Any) -> str:
    """The id of what the list at `path` holds and is called so: by its id, or exactly by one of its fields `names`.

    Raises ClickException when nothing is, or more than one.
    """
    if parse_id(called) is not None:
        return called
    found = [one for one in api.items(path, q=called, **query) if called in [one.get(name) for name in names]]
    if len(found) == 1:
        return str(found[0]["id"])
    if not found:
        noun, listing = NAMED[path]
        raise click.ClickException(f"No {noun} is called {shown(called)}. `carillon {listing}` names them.")
    ids = ", ".join(str(one["id"]) for one in found)
    raise click.ClickException(f"{len(found)} are called {called}. Say by its id which one is meant: {ids}.")


def run_id(called: str) -> str:
    """The id of a run as it stands in an address. Raises ClickException for what is no id."""
    if parse_id(called) is None:
        raise click.ClickException(f"{shown(called)} is not the id of a run. `carillon runs list` names them.")
    return called


def _elsewhere(url: str, token: str | None, slug: str | None) -> httpx.Client:
    parts = _address_parts(url)
    if not token:
        raise click.UsageError("Over --url a token is needed: set CARILLON_TOKEN. Settings › API tokens makes one.")
    if not token.isascii() or not token.isprintable():
        raise click.UsageError("This cannot be a token. Copy it again from where it was shown.")
    if slug:
        raise click.UsageError("--tenant is for the database on this machine; over --url the token says which tenant.")
    if parts.scheme == "http" and parts.hostname not in _OWN_MACHINE:
        sys.stderr.write("Warning: over http:// everybody on the way can read the token. Use https://.\n")
    headers = {"Authorization": f"Bearer {token}", "User-Agent": f"carillon/{code_version()}"}
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    return httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout)


def _address_parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        is_address = False
    if not is_address or parts.username or parts.query or parts.fragment:
        raise click.UsageError("--url is an http:// or https:// address, such as https://carillon.example.com.")
    return parts


def _said(query: Json) -> Json:
    return {name: value for name, value in query.items() if value not in (None, "", [], ())}


def _document(answer: httpx.Response) -> Json:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _not_carillon(answer)
    return found


def _unreached(where: str, error: Exception) -> click.ClickException:
    said = str(error) or type(error).__name__
    if isinstance(error, (httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError)):
        words = f"{where} did not answer: {said}. What was asked for may have been done: look before asking again."
    elif "certificate" in said.lower():
        words = f"{where} cannot be trusted: {said}. SSL_CERT_FILE names the certificates of an authority of your own."
    else:
        words = f"{where} cannot be reached: {said}. Is the address right?"
    return Failed(words, {"code": UNREACHED, "detail": words})


def _not_carillon(answer: httpx.Response) -> click.ClickException:
    where = f", which leads to {shown(answer.headers['Location'])}" if answer.is_redirect else ""
    words = f"This does not answer like Carillon: status {answer.status_code}{where}. Is the address right?"
    return Failed(words, {"code": NOT_DONE, "detail": words, "status": answer.status_code})


def _words(problem: Json, *, is_here: bool) -> str:
    """What a refusal says, one problem per line."""
    if problem.get("status") == 401:
        return "The token is not valid, or no longer. Make one under Settings › API tokens and set CARILLON_TOKEN."
    lines = error_lines(problem) or [shown(problem["detail"])]
    if problem.get("status", 0) >= 500:
        where = "CARILLON_LOG_LEVEL=ERROR says why" if is_here else "The log of the server knows this request as"
        lines.append(f"Once more with {where}." if is_here else f"{where} {problem.get('requestId')}.")
    return "\n".join(lines)


def error_lines(problem: Json) -> list[str]:
    """`path: message` of everything that is wrong."""
    found = problem.get("errors") or ()
    return [f"{shown(one['path'])}: {shown(one['message'])}" if one["path"] else shown(one["message"]) for one in found]


def _problem(answer: httpx.Response) -> Json | None:
    try:
        found = answer.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("detail"), str) else None
