"""The list of extensions: what is installed and what could be."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.extensions.listing import STATES, extensions_page
from web.access import is_fragment, requires
from web.asked import asked_text, one_of
from web.extensions.frame import blueprint, tenant_id


@blueprint.get("")
@requires("extension:read")
def index() -> ResponseReturnValue:
    narrowed = {"q": asked_text("q"), "state": one_of("state", STATES)}
    after = request.args.get("after", type=UUID)
    rows, has_more = extensions_page(tenant_id(), narrowed["q"], narrowed["state"], after)
    shown = {
        "rows": rows,
        "narrowed": narrowed,
        "first_url": _address(narrowed) if after else None,
        "next_url": _address(narrowed, after=rows[-1].id) if has_more else None,
    }
    return render_template("extensions/_list.html" if is_fragment() else "extensions/index.html", **shown)


def _address(narrowed: dict[str, str], **change: Any) -> str:
    return url_for("extensions.index", **{name: value for name, value in (narrowed | change).items() if value})
