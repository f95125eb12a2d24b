"""The examples on the page of the API: each is a command that a shell takes, with all that its request needs."""

from __future__ import annotations

import json
import re
import shlex
from html import unescape

from flask import Flask
from jsonschema.validators import Draft202012Validator

from web.api.openapi.document import api_routes, declaration_of
from web.api.openapi.examples import FILE, curl, sample
from web.api.openapi.words import TEXT


def test_every_request_is_on_the_page_as_a_command(app: Flask) -> None:
    page = app.test_client().get("/api/docs").text
    shown = [
        shlex.split(unescape(text).replace("\\\n", ""))
        for text in re.findall(r"<pre[^>]*>(curl .*?)</pre>", page, re.DOTALL)
    ]

    assert len(shown) == len(list(api_routes(app)))
    assert ["curl", "$CARILLON_URL/api/schedules", "-H", "Authorization: Bearer $CARILLON_TOKEN"] in shown
    edit = next(one for one in shown if one[1:4] == ["-X", "PATCH", "$CARILLON_URL/api/schedules/<scheduleId>"])
    assert 'If-Match: "<ETag of what was read>"' in edit and "Content-Type: application/json" in edit
    new = next(one for one in shown if one[1:4] == ["-X", "POST", "$CARILLON_URL/api/schedules"])
    assert set(json.loads(new[-1])) == {"workflowId", "cron", "enabled"}
    bundle = next(one for one in shown if one[-1] == "@bundle.json")
    assert bundle[-2] == "--data-binary"


def test_the_bodies_of_the_examples_have_what_is_required(app: Flask) -> None:
    seen = 0
    for rule, _ in api_routes(app):
        body = declaration_of(app, rule.endpoint).body
        if body is None or body.get("title") in FILE:
            continue
        seen += 1
        missing = [e for e in Draft202012Validator(body).iter_errors(sample(body)) if e.validator == "required"]
        assert not missing, rule.rule
    assert seen > 10


def test_what_stands_in_a_body_cannot_end_its_quotes() -> None:
    said = curl("POST", "/api/x", [], {"properties": {"it's": TEXT}, "required": ["it's"]})
    assert json.loads(shlex.split(said)[-1]) == {"it's": "…"}
