"""Runs the migrations up, compares the outcome with the models, then all the way down and up again, on a real database."""

from __future__ import annotations

import subprocess
import sys

from tests.servers import ROOT, alembic, throwaway_postgres


def main() -> int:
    with throwaway_postgres() as env:
        for arguments in (["upgrade", "head"], ["check"], ["downgrade", "base"], ["upgrade", "head"]):
            if code := subprocess.run(alembic(*arguments), cwd=ROOT, env=env, check=False).returncode:
                print(f"alembic {' '.join(arguments)} ended with exit code {code}")
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
