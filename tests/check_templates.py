"""Compiles every template, so that a syntax error or an unknown filter is found before any page is asked for."""

from __future__ import annotations

import sys

from jinja2 import TemplateError

from tests.servers import ROOT, make_app, plain_config


def main() -> int:
    environment = make_app(plain_config()).jinja_env
    faults = 0
    for path in sorted((ROOT / "templates").rglob("*.*")):
        name = path.relative_to(ROOT / "templates").as_posix()
        try:
            environment.get_template(name)
        except TemplateError as error:
            faults += 1
            print(f"templates/{name}:{getattr(error, 'lineno', 0) or 0}: {error}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
