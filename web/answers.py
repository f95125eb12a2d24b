"""What a view says when a command is done, and how a dialog is shown: in the drawer for htmx, else as a page."""

from __future__ import annotations

from typing import Any

from flask import Response, flash, redirect, render_template
from flask.typing import ResponseReturnValue

from web.access import is_fragment


def done(address: str, message: str | dict[str, str]) -> ResponseReturnValue:
    """Go to `address` and say `message` there; a mapping may add the link that follows as `href` and `label`."""
    flash(message, "ok")  # type: ignore[arg-type]
    if is_fragment():
        answer = Response(status=204)
        answer.headers["HX-Redirect"] = address
        return answer
    return redirect(address, 303)


def show_dialog(fragment: str, title: str, status: int = 200, **values: Any) -> ResponseReturnValue:
    """The panel in the template `fragment`, alone for htmx, else on a page of its own."""
    if is_fragment():
        return render_template(fragment, title=title, **values), status
    return render_template("dialog.html", fragment=fragment, title=title, **values), status
