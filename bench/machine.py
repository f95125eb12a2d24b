"""What a measurement ran on: without it no number means anything."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.servers import POSTGRES, REDIS
from workers.local_places import postgres_programs, postgres_user, valkey_program


def machine() -> dict[str, Any]:
    """Cores, memory, load, versions and settings, as plain values."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "load": [round(part, 2) for part in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgres": _said(str(postgres_programs(postgres_user(Path.cwd())) / "postgres")),
        "redis": _said(str(valkey_program())),
        "versions": {name: version(name) for name in ("sqlalchemy", "psycopg", "dramatiq", "apscheduler")},
        "commit": _said("git", "describe", "--always", "--dirty"),
        "settings": {"postgres": POSTGRES, "redis": REDIS},
    }


def described(found: dict[str, Any]) -> str:
    """One paragraph for people."""
    settings = ", ".join(f"{name}={value}" for part in found["settings"].values() for name, value in part.items())
    return (
        f"{found['at']} · {found['cores']} cores of {found['cpu']}, {found['memory_gb']} GB, load {found['load'][0]} "
        f"when it began\n{found['postgres']} · {found['redis']} · Python {found['python']} · commit {found['commit']}\n"
        f"{settings}"
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _said(*command: str) -> str:
    arguments = command if len(command) > 1 else (*command, "--version")
    answer = subprocess.run(arguments, capture_output=True, text=True, check=False)
    return answer.stdout.strip()
