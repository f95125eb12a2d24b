"""The command line inside the process of a test, on the database of its environment or over the API of a server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from carillon import local_api
from workers.commands.cli import carillon


@dataclass(frozen=True)
class CommandLine:
    """`env`: where it works. Everything else of the environment that commands read is taken away."""

    env: dict[str, str]

    def run(self, *arguments: str, said: str | None = None) -> Result:
        env = {"CARILLON_URL": None, "CARILLON_TOKEN": None, "CARILLON_TENANT": None, **self.env}
        # What is logged goes to standard error, but only where the entry says so.
        with capture_logs():
            return CliRunner().invoke(
                carillon, arguments, input=said, obj=local_api, env=env, prog_name="carillon", catch_exceptions=False
            )

    def done(self, *arguments: str, said: str | None = None) -> str:
        """What a command says that does what it is asked."""
        result = self.run(*arguments, said=said)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return result.stdout

    def document(self, *arguments: str, said: str | None = None) -> Any:
        return json.loads(self.done(*arguments, "--json", said=said))

    def refused(self, *arguments: str, code: int = 1) -> str:
        """What a command says on standard error that does not do what it is asked."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        return result.stderr
