"""The first tenant of an installation is made on the command line."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.faults.fleet import rows
from tests.servers import ROOT, config_for
from workers.process import process_app


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workers.setup", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_tenant_and_its_admin_are_made_and_the_password_is_said_once(fresh_env: dict[str, str]) -> None:
    ended = run(fresh_env, "--tenant", "Acme GmbH", "--email", "alice@acme.test", "--timezone", "Europe/Berlin")
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"with the password \S{12,}", ended.stdout)
    app = process_app(config_for(fresh_env["DATABASE_URL"], fresh_env["REDIS_URL"]), "command", 1)
    assert rows(app, "SELECT slug, name, timezone FROM tenants") == [("acme-gmbh", "Acme GmbH", "Europe/Berlin")]
    assert rows(app, "SELECT email, role FROM users JOIN memberships ON user_id = users.id") == [
        ("alice@acme.test", "admin")
    ]
    with app.app_context():
        from domain.kernel.db import db

        db.engine.dispose()


def test_what_cannot_be_used_is_named_and_nothing_is_made(fresh_env: dict[str, str]) -> None:
    ended = run(fresh_env, "--tenant", "Acme", "--email", "alice@acme.test", "--timezone", "Nowhere")
    assert ended.returncode == 1
    assert "timezone" in ended.stderr and "Traceback" not in ended.stderr
