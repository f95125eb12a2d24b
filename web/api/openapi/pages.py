"""The description of the API: as OpenAPI for programs, as a page for people. Both are open to all: they hold nothing of anybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from flask import Response, current_app, render_template
from flask.typing import ResponseReturnValue

from web.access import public
from web.api import blueprint
from web.api.answering import document
from web.api.openapi.declaring import declared
from web.api.openapi.document import FAULTS, api_routes, declaration_of, openapi_document, path_of
from web.api.openapi.examples import curl
from web.api.openapi.words import OBJECT, TEXT, Json
from web.schema_words import FieldWords, fields_in_words

KNOWN = "carillon.openapi"
ITSELF = "This description"


@dataclass(frozen=True)
class Entry:
    """One operation on the page. `answers`: title and fields of what is answered, by status. `example`: how to ask it."""

    id: str
    method: str
    path: str
    summary: str
    needs: str
    parameters: Sequence[FieldWords]
    body: Sequence[FieldWords]
    answers: Sequence[tuple[str, Sequence[FieldWords]]]
    faults: Sequence[tuple[str, str]]
    example: str

    @property
    def section(self) -> str:
        first = self.path.split("/")[2]
        return ITSELF if first in ("docs", "openapi.json") else first.replace("-", " ").capitalize()


@blueprint.get("/openapi.json")
@declared("Read this description", OBJECT, is_public=True)
@public
def show_openapi() -> Response:
    return document(_described())


@blueprint.get("/docs")
@declared("Read about the API", TEXT, is_public=True, media_type="text/html; charset=utf-8")
@public
def show_reference() -> ResponseReturnValue:
    entries = sorted(_entries(), key=lambda entry: (entry.section == ITSELF, entry.section))
    sections = [(name, list(those)) for name, those in groupby(entries, key=lambda entry: entry.section)]
    return render_template("api/docs.html", sections=sections)


def _described() -> Json:
    """The document, made once for each application."""
    known: Json | None = current_app.extensions.get(KNOWN)
    if known is None:
        known = current_app.extensions[KNOWN] = openapi_document(current_app)
    return known


def _entries() -> Sequence[Entry]:
    paths = _described()["paths"]
    return [
        _entry(rule.endpoint, method, path_of(rule), paths[path_of(rule)][method.lower()])
        for rule, method in api_routes(current_app)
    ]


def _entry(endpoint: str, method: str, path: str, operation: Json) -> Entry:
    known = declaration_of(current_app, endpoint)
    parameters = {one["name"]: _with_words(one) for one in operation["parameters"]}
    required = [one["name"] for one in operation["parameters"] if one.get("required")]
    return Entry(
        operation["operationId"],
        method,
        path,
        known.summary,
        operation.get("description", "Open to all.").replace("`", ""),
        fields_in_words({"properties": parameters, "required": required}),
        fields_in_words(known.body or {}),
        [(f"{status} {_title(schema)}".strip(), _fields(schema)) for status, schema in known.answers.items()],
        [(status, FAULTS[int(status)]) for status in operation["responses"] if int(status) in FAULTS],
        curl(method, path, operation["parameters"], known.body),
    )


def _with_words(parameter: Json) -> Json:
    place = {"query": "", "path": "In the address.", "header": "A header."}[parameter["in"]]
    told = " ".join(text for text in (place, parameter.get("description", "")) if text)
    return {**parameter["schema"], "description": told}


def _title(schema: Json | None) -> str:
    if schema is None:
        return ""
    several = [_title(one) for one in schema.get("anyOf", [])]
    return " or ".join(several) if several else str(schema.get("title", ""))


def _fields(schema: Json | None) -> Sequence[FieldWords]:
    """The fields of what is answered; of one that may be of several forms, those of the first."""
    shape = schema or {}
    return fields_in_words(shape["anyOf"][0] if "anyOf" in shape else shape)
