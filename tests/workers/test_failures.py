"""How commands end that cannot be carried out: words on standard error, a document for scripts, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from flask import Flask

from domain.kernel.db import transaction
from tests.factories import a_tenant
from tests.servers import ROOT
from tests.workers.command_line import CommandLine
from tests.workers.test_commands import app
from workers.commands import progress, tenants

__all__ = ["app"]

NOWHERE = {"CARILLON_URL": "http://127.0.0.1:9", "CARILLON_TOKEN": "carillon_secret"}


def failed(line: CommandLine, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """The exit code, the document on standard output and the words on standard error."""
    result = line.run(*arguments, "--json")
    assert "Traceback" not in result.stderr and "carillon_secret" not in result.output
    return result.exit_code, json.loads(result.stdout), result.stderr


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[CommandLine]:
    """A server that answers everything so, and is no Carillon."""

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield CommandLine(NOWHERE | {"CARILLON_URL": f"http://127.0.0.1:{server.server_port}"})
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("schedules", "list"), 1, "UNREACHED"),
        (("schedules", "list", "--limit", "0"), 2, "WRONGLY_CALLED"),
        (("schedules", "list", "--nope"), 2, "WRONGLY_CALLED"),
        (("schedules", "explode"), 2, "WRONGLY_CALLED"),
        (("runs", "show", "../../healthz"), 1, "NOT_DONE"),
        (("schedules", "show", "\udcff"), 2, "WRONGLY_CALLED"),
        (("bundle", "validate", "/dev/null"), 1, "INVALID_BUNDLE"),
        (("bundle", "validate", "/proc/self/mem"), 1, "NOT_DONE"),
    ],
)
def test_a_script_reads_a_document_also_of_what_failed(arguments: tuple[str, ...], code: int, word: str) -> None:
    ended, document, words = failed(CommandLine(NOWHERE), *arguments)
    assert (ended, document["code"]) == (code, word)
    assert document["detail"] and "Error: " in words


def test_a_setting_a_database_and_a_tenant_that_are_not_there_are_told_by_their_codes(
    app: Flask, fresh_env: dict[str, str]
) -> None:
    away = fresh_env | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"}
    for env, code in (({"DATABASE_URL": ""}, "SETTINGS"), (away, "DATABASE_AWAY"), (fresh_env, "NOT_DONE")):
        for command in (("users", "list"), ("schedules", "list")):
            ended, document, _ = failed(CommandLine({**fresh_env, **env}), *command)
            assert (ended, document["code"]) == (1, code), command


def test_what_nobody_foresaw_is_said_in_a_line_and_how_to_learn_more(
    fresh_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(slug: str | None = None) -> list[Any]:
        raise ValueError("odd\nand more")

    monkeypatch.setattr(tenants, "tenants_by_slug", broken)
    ended, document, words = failed(CommandLine(fresh_env), "tenants", "list")
    assert (ended, document["code"]) == (1, "UNEXPECTED")
    assert "ValueError: odd\n" in words and "CARILLON_LOG_LEVEL=ERROR" in words


@pytest.mark.parametrize(
    ("status", "body", "headers", "words"),
    [
        (200, b"<html>Hello</html>", {}, "does not answer like Carillon: status 200"),
        (200, b"[]", {}, "does not answer like Carillon: status 200"),
        (308, b"", {"Location": "https://other.example/"}, "status 308, which leads to https://other.example/"),
        (502, b"<html>Bad gateway</html>", {}, "does not answer like Carillon: status 502"),
        (200, b"x", {"Content-Encoding": "gzip"}, "Is the address right?"),
    ],
)
def test_what_is_no_carillon_is_said_so(status: int, body: bytes, headers: dict[str, str], words: str) -> None:
    with answering(status, body, **headers) as line:
        assert words in failed(line, "schedules", "list")[2]


@pytest.mark.parametrize("url", ["http://[::1", "http://host:99999", "http://host:port", "ftp://host", "http://"])
def test_an_address_that_cannot_be_is_no_traceback(url: str) -> None:
    line = CommandLine(NOWHERE | {"CARILLON_URL": url})
    assert "--url is an http:// or https:// address" in line.refused("schedules", "list", code=2)


def test_a_terminal_that_cannot_show_a_character_gets_another_and_a_script_an_escape(
    app: Flask, fresh_env: dict[str, str]
) -> None:
    with transaction():
        a_tenant("acme").name = "Žižkov"

    def said(*arguments: str) -> str:
        command, env = [sys.executable, "-m", "carillon", *arguments], {**fresh_env, "PYTHONIOENCODING": "latin-1"}
        ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=100, check=True)
        assert ended.stderr == b""
        return ended.stdout.decode("latin-1")

    assert "?i?kov" in said("tenants", "list")
    assert json.loads(said("tenants", "list", "--json"))[0]["name"] == "Žižkov"


def test_ctrl_c_ends_a_command_in_a_line_also_while_it_loads(
    fresh_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(slug: str | None = None) -> list[Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(tenants, "tenants_by_slug", interrupted)
    assert "Interrupted." in CommandLine(fresh_env).refused("tenants", "list", code=130)
    code = (
        "import builtins, carillon\n"
        "load = builtins.__import__\n"
        "def interrupted(name, *rest):\n"
        "    if name.startswith('workers'): raise KeyboardInterrupt\n"
        "    return load(name, *rest)\n"
        "builtins.__import__ = interrupted\n"
        "carillon.main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=100, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


def test_what_goes_on_is_drawn_at_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(progress, "AFTER_SECONDS", 0.0)
    with progress.waiting("Importing"), progress.progress("Importing", 3) as step:
        step(1, 3)
    assert capsys.readouterr() == ("", "")

    monkeypatch.setattr(progress, "is_watched", lambda: True)
    drawn = progress.threading.Event()
    monkeypatch.setattr(progress, "bar_at", lambda step: drawn.set() or "[##]")
    with progress.waiting("Importing"), progress.waiting("Nobody sees this one"):
        assert drawn.wait(20)
    shown = capsys.readouterr()
    assert shown.out == "" and "Importing  [##]  0 s" in shown.err and "Nobody" not in shown.err
    assert shown.err.endswith("\r\x1b[K")


def test_a_reader_that_leaves_early_is_no_error_to_speak_of(app: Flask, fresh_env: dict[str, str]) -> None:
    with transaction():
        for number in range(2000):
            a_tenant(f"tenant-{number:04}").name = f"Tenant {'long ' * 10}{number}"
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "carillon", "tenants", "list", "--json"]
    with subprocess.Popen(command, cwd=ROOT, env=fresh_env, stdout=writing, stderr=subprocess.PIPE, text=True) as ended:
        os.close(writing)
        os.read(reading, 10)
        os.close(reading)
        assert ended.communicate(timeout=100)[1] == ""
