"""Looks after the demo tenant at the first start on a machine, and says in a file how to sign in.

`python -m workers.demo --credentials var/credentials.json --url http://127.0.0.1:8000`
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from domain.demo import create_demo_tenant, has_demo_tenant, publish_examples, renew_demo_access
from domain.kernel import clock
from domain.kernel.db import transaction
from domain.kernel.ids import new_id
from domain.kernel.log import log_context
from workers.process import configured, process_app

SECRETS = ("email", "password", "apiToken")


def look_after_demo(path: Path, url: str) -> None:
    """Make the tenant unless it exists, publish the examples, and write how to reach it to `path`.

    What the file says of the first time is kept; when it was lost, the demo's admin gets a new password and token.
    """
    with transaction():
        now = clock.database_now()
        publish_examples(now)
        if has_demo_tenant():
            credentials = kept_credentials(path) or renew_demo_access(now)
        else:
            credentials = create_demo_tenant(now)
        write_credentials(path, {"url": url, **credentials})


def kept_credentials(path: Path) -> dict[str, str] | None:
    """What an earlier start wrote, but the address; None when there is no such file or it is not whole."""
    try:
        stored = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    is_whole = isinstance(stored, dict) and all(isinstance(stored.get(key), str) for key in SECRETS)
    return {key: stored[key] for key in SECRETS} if is_whole else None


def write_credentials(path: Path, credentials: dict[str, str]) -> None:
    """Replace the file at once; nobody but its owner can ever read it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(json.dumps(credentials, indent=2) + "\n")
    draft.replace(path)


def main() -> None:
    """Read the arguments and look after the demo tenant."""
    parser = argparse.ArgumentParser(description="Make the demo tenant, once, and write how to sign in.")
    parser.add_argument("--credentials", type=Path, required=True, help="the file to write, readable by its owner only")
    parser.add_argument("--url", required=True, help="where this installation is reached")
    asked = parser.parse_args()
    with process_app(configured(), "command", 1).app_context(), log_context(request_id=new_id()):
        look_after_demo(asked.credentials, asked.url)


if __name__ == "__main__":
    main()
