"""The API as commands speak to it: on the database that the environment names, or at an address with a token.

Both are the same API, so that a command says and does the same wherever it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import click
import httpx
from flask import Flask

from domain.kernel.config import BadConfig, Config
from domain.kernel.ids import new_id, parse_id
from workers.process import code_version

Json = dict[str, Any]
LocalApi = Callable[[Config, str | None], AbstractContextManager[Flask]]

PAGE_MAX = 200
# Imports and exports of whole tenants take their time.
ANSWER_SECONDS, CONNECT_SECONDS = 120, 10
_OWN_MACHINE = {"localhost", "127.0.0.1", "::1"}


class Api:
    """Requests below `/api`. Each raises ClickException with what was answered instead of what was asked for."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, **query: Any) -> Json:
        """The document at `path`. A parameter that is None or empty is left out."""
        document: Json = self.send("GET", path, params=_said(query)).json()
        return document

    def post(self, path: str, body: Any = None, *, key: str | None = None, **query: Any) -> Json:
        """What the command at `path` answers. `key`: sending the same once more with it does nothing more."""
        headers = {"Idempotency-Key": key or str(new_id())}
        answer = self.send("POST", path, json=body or {}, headers=headers, params=_said(query))
        return answer.json() if answer.content else {}

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
            raise click.ClickException(_refusal(answer)) from None

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Any request; its answer when that says that it was carried out."""
        answer = self._requested(method, f"/api{path}", **request)
        if answer.is_success:
            return answer
        raise click.ClickException(_refusal(answer))

    def _requested(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **request)
        except httpx.TransportError as error:
            where = self._client.base_url
            said = str(error) or type(error).__name__
            raise click.ClickException(f"{where} cannot be reached: {said}. Is the address right?") from None


@contextmanager
def api_at(local: LocalApi, url: str | None, token: str | None, slug: str | None) -> Iterator[Api]:
    """The API at `url`, or without one on the database of the environment, for the tenant `slug`. Raises ClickException."""
    if url:
        with _elsewhere(url, token, slug) as client:
            yield Api(client)
        return
    try:
        config = Config.from_env()
    except BadConfig as error:
        raise click.ClickException(f"{error} Or say with --url where a Carillon answers.") from error
    # A host name that is served; whether over https matters to browsers only.
    base = f"http://{next(iter(config.host_names), 'localhost')}"
    with (
        local(config, slug) as app,
        httpx.Client(transport=httpx.WSGITransport(app=app), base_url=base, trust_env=False) as client,
    ):
        yield Api(client)


def id_called(api: Api, path: str, called: str, *names: str) -> str:
    """The id of what the list at `path` holds and is called so: by its id, or exactly by one of its fields `names`.

    Raises ClickException when nothing is, or more than one.
    """
    if parse_id(called) is not None:
        return called
    found = [one for one in api.items(path, q=called) if called in [one.get(name) for name in names]]
    if len(found) == 1:
        return str(found[0]["id"])
    if not found:
        raise click.ClickException(f"Nothing in this list is called {called}. `list` names what there is.")
    ids = ", ".join(str(one["id"]) for one in found)
    raise click.ClickException(f"{len(found)} are called {called}. Say by its id which one is meant: {ids}.")


def _elsewhere(url: str, token: str | None, slug: str | None) -> httpx.Client:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise click.UsageError("--url is an http:// or https:// address, such as https://carillon.example.com.")
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


def _said(query: Json) -> Json:
    return {name: value for name, value in query.items() if value is not None and value != ""}


def _refusal(answer: httpx.Response) -> str:
    """What a refusal says, one problem per line."""
    problem = _problem(answer)
    if problem is None:
        where = f", which leads to {answer.headers['Location']}" if answer.is_redirect else ""
        return f"This does not answer like Carillon: status {answer.status_code}{where}. Is the address right?"
    if answer.status_code == 401:
        return "The token is not valid, or no longer. Make one under Settings › API tokens and set CARILLON_TOKEN."
    wrong = [f"{one['path']}: {one['message']}" if one["path"] else one["message"] for one in problem.get("errors", [])]
    lines = wrong or [problem["detail"]]
    lines += [missing_words(one) for one in problem.get("missing", [])]
    if answer.status_code >= 500:
        lines.append(f"Its log knows this request as {problem.get('requestId')}.")
    return "\n".join(lines)


def missing_words(one: Json) -> str:
    """A schedule that finds no endpoint in another version, with what it could call instead."""
    nearest = ", ".join(str(near.get("called", near)) if isinstance(near, dict) else near for near in one["nearest"])
    return f"  {one['scheduleId']}  {one['name']}; nearest: {nearest or 'nothing'}"


def _problem(answer: httpx.Response) -> Json | None:
    try:
        found = answer.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("detail"), str) else None
