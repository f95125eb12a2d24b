"""How a bundle of any kind is read: JSON within limits, then its header, then its schema. Nothing of it is trusted before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from domain.bundles.form import Form, shortened, shown
from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused

MAX_BYTES = 16_000_000
# Definitions may nest 64 levels deep, and stand some levels down in a bundle.
MAX_DEPTH = 80
MAX_PROBLEMS = 100

INVALID_BUNDLE = "INVALID_BUNDLE"
UNSUPPORTED_FORMAT = "UNSUPPORTED_FORMAT"
UNSUPPORTED_FORMAT_VERSION = "UNSUPPORTED_FORMAT_VERSION"
SCHEMA_VALIDATION_FAILED = "SCHEMA_VALIDATION_FAILED"


class BundleRefused(Refused):
    """This bundle cannot be imported. Nothing was changed.

    `details`: JSON members that tell more, by `code`. `problems`: what is wrong in the file, at its JSON pointers.
    """

    def __init__(
        self, code: str, message: str, details: Mapping[str, Any] | None = None, problems: Sequence[Problem] = ()
    ) -> None:
        super().__init__(problems, message)
        self.code = code
        self.details = dict(details or {})

    def __str__(self) -> str:
        return self.message


def read_document(raw: bytes, file_format: str, format_version: int, form: Form) -> dict[str, Any]:
    """The document in the bytes of a file, which has this format and this form.

    Raises BundleRefused with INVALID_BUNDLE, UNSUPPORTED_FORMAT, UNSUPPORTED_FORMAT_VERSION or SCHEMA_VALIDATION_FAILED.
    """
    try:
        document = strict_json.loads(raw, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
    except Refused as refused:
        problem = refused.problems[0]
        raise BundleRefused(INVALID_BUNDLE, problem.message, {"reason": problem.code}, refused.problems) from None
    if not isinstance(document, dict):
        raise BundleRefused(INVALID_BUNDLE, "A bundle is a JSON object. Choose a file that was exported as one.")
    _check_header(document, file_format, format_version)
    if problems := list(islice(form.problems(document), MAX_PROBLEMS)):
        raise schema_refusal(problems)
    return document


def schema_refusal(problems: Sequence[Problem]) -> BundleRefused:
    """What is raised for a document with these problems, each at its JSON pointer."""
    problems = [shown(problem) for problem in problems[:MAX_PROBLEMS]]
    first = problems[0]
    told = [{"path": p.path, "message": p.message, "code": p.code} for p in problems]
    message = f"The bundle is not of the form that is asked for: {first.path or '/'}: {first.message}"
    return BundleRefused(SCHEMA_VALIDATION_FAILED, message, {"errors": told}, problems)


def _check_header(document: dict[str, Any], file_format: str, format_version: int) -> None:
    found = document.get("format")
    if found != file_format:
        message = f"This is no file of the format {file_format}. Choose one that was exported as such."
        details = {"expectedFormat": file_format, "receivedFormat": _received(found)}
        raise BundleRefused(UNSUPPORTED_FORMAT, message, details, [Problem("/format", message, UNSUPPORTED_FORMAT)])
    version = document.get("formatVersion")
    if type(version) is not int or version != format_version:
        message = f"Only version {format_version} of this format can be read. Export the file again with a release that writes it."
        details = {"expectedFormatVersion": format_version, "receivedFormatVersion": _received(version)}
        problem = Problem("/formatVersion", message, UNSUPPORTED_FORMAT_VERSION)
        raise BundleRefused(UNSUPPORTED_FORMAT_VERSION, message, details, [problem])


def _received(value: Any) -> Any:
    """What a header says, for an answer: a list or an object there says nothing."""
    if isinstance(value, str):
        return shortened(value)
    return None if isinstance(value, dict | list) else value
