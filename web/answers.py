"""What a view says when a command is done, how a dialog is shown, in the drawer for htmx, else as a page, and what a part
that refreshes by itself is sent.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from flask import Flask, Response, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue

from web.access import is_fragment

SHOWN = "X-Shown"
"""Says in a request what the part shows that refreshes by itself, in the answer what it shows from now on."""

# The keys of its forms, and how long ago something was, which the script of the page counts on.
_ALWAYS_NEW = re.compile(rb'(name="(?:csrf_token|request_key)" value=")[^"]*|(<time [^>]*data-relative[^>]*>)[^<]*')


def register(app: Flask) -> None:
    app.after_request(send_what_is_new)


def send_what_is_new(answer: Response) -> Response:
    """To a part that refreshes by itself nothing, if it would show what it shows: a list has some 260 kB, every few seconds."""
    shown = request.headers.get(SHOWN)
    if shown is None or answer.status_code != 200 or not is_fragment():
        return answer
    told = hashlib.sha256(_ALWAYS_NEW.sub(rb"\1\2", answer.get_data())).hexdigest()[:16]
    answer.headers[SHOWN] = told
    if shown == told:
        answer.status_code = 204
        answer.set_data(b"")
    return answer


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
