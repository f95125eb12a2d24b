"""PostgreSQL behind a proxy that loses what the test wants lost."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from bench.proxy import CommitProxy


@contextmanager
def proxied(env: dict[str, str]) -> Iterator[tuple[CommitProxy, dict[str, str]]]:
    """A proxy before PostgreSQL that loses answers to commits, and the environment of who connects through it."""
    found = re.search(r"host=([^&]+)", env["DATABASE_URL"])
    assert found is not None
    directory = Path(tempfile.mkdtemp(prefix="cp-"))
    proxy = CommitProxy(Path(unquote(found[1])), directory)
    proxy.start()
    try:
        quoted = str(directory).replace("/", "%2F")
        yield proxy, env | {"DATABASE_URL": env["DATABASE_URL"].replace(found[1], quoted)}
    finally:
        proxy.close()
        shutil.rmtree(directory)
