"""What the forms of pages share: they carry what was typed, and show what the domain said about it."""

from __future__ import annotations

from collections.abc import Iterable

from wtforms import Form

from domain.kernel.errors import Problem


class PageForm(Form):  # type: ignore[misc]
    """A form that judges nothing. The token against forged requests is checked for every request, not here."""

    def attach(self, problems: Iterable[Problem]) -> None:
        """Each problem at the field that its path begins with, the rest of the path in words; others at the form."""
        for problem in problems:
            name, _, rest = problem.path.partition("/")
            if name in self:
                said = f"/{rest}: {problem.message}" if rest else problem.message
                self[name].errors = [*self[name].errors, said]
            else:
                self.form_errors.append(f"{problem.path}: {problem.message}" if problem.path else problem.message)
