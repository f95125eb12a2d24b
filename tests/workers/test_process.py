"""The life of a process: what each of its heartbeats says, and what it costs."""

from __future__ import annotations

import pytest
from flask import Flask

from domain.kernel.db import db
from domain.runs.heartbeats import SCHEDULER, Heartbeat
from workers import process
from workers.process import Life, code_version

pytestmark = pytest.mark.usefixtures("rollback")


def test_a_process_looks_its_version_up_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages on the disk may be others by now, and to look through them cost half of a heartbeat."""
    life = Life(app, SCHEDULER, 10)

    def looked_up(_name: str) -> str:
        raise AssertionError("looked up again")

    monkeypatch.setattr(process, "version", looked_up)
    life.beat()
    life.beat()
    with app.app_context():
        assert db.session.get_one(Heartbeat, life.id).version == life.version


def test_a_process_says_which_version_it_runs(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "version", lambda _name: "1.2.3")
    assert code_version() == "1.2.3" == Life(app, SCHEDULER, 10).version
