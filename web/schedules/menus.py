"""The menus of the rows of a list: alike but for whose they are, so that each shape of them is drawn once per list."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import UUID

from flask import render_template
from markupsafe import Markup

from domain.kernel.ids import new_id
from domain.schedules.pages import ScheduleRow
from web.schedules.resuming import is_behind

# Stands for the schedule in what is drawn before it is known whose it is. No text of anybody is in a menu.
_ANYBODY = UUID(int=0)


class RowMenus:
    """Draws what the menu of a row offers. One list has one: its forms carry one key, which counts for each schedule."""

    def __init__(self) -> None:
        self._request_key = new_id()
        self._drawn: dict[tuple[str, bool], str] = {}

    def __call__(self, row: ScheduleRow) -> Markup:
        shape = (row.status, is_behind(row))
        if shape not in self._drawn:
            self._drawn[shape] = self._draw(row)
        return Markup(self._drawn[shape].replace(str(_ANYBODY), str(row.id)))  # noqa: S704

    def _draw(self, row: ScheduleRow) -> str:
        # No more of the row than makes the shape.
        anybodys = SimpleNamespace(id=_ANYBODY, status=row.status, next_fire_at=row.next_fire_at)
        return render_template("schedules/_menu_items.html", row=anybodys, request_key=self._request_key)
