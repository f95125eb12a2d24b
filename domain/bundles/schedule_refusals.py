"""Why schedules of a file cannot be taken, at their places in the file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domain.bundles.reading import BundleRefused
from domain.bundles.schedule_documents import Document
from domain.bundles.schedule_targets import MISSING, missing_details
from domain.kernel.errors import DomainError, Problem, Refused
from domain.kernel.secret_values import SECRET

_NOT_KEPT = (
    "A secret was typed in here, and no file holds it. "
    f'Write {{"{SECRET}": "NAME"}} in its place, and make a secret of that name in the settings.'
)
# Where the problems of a draft are in a document.
_TIMING = ("triggerType", "timezone", "runAt", "cron", "startsAt", "endsAt", "dstGap", "dstRepeat")
_POLICIES = ("overlap", "catchUp", "maxLatenessSeconds", "spreadSeconds", "maxAttempts")
_PLACES = {name: f"timing/{name}" for name in _TIMING} | {name: f"policies/{name}" for name in _POLICIES}
_PLACES |= {"workflowId": "target/workflow", "endpointId": "target/path", "enabled": "target"}


def problems_at(index: int, error: DomainError) -> tuple[Problem, ...]:
    """What is wrong with a schedule of the file. A refusal says what is wrong where, anything else is about it as a whole."""
    found = error.problems if isinstance(error, Refused) else [Problem("", error.message, error.code)]
    return tuple(_problem_at(index, one) for one in found)


def refusal(found: Iterable[tuple[Document, Sequence[Problem]]]) -> BundleRefused:
    """What is raised for a file, given the problems of each of its schedules."""
    refused = [(document, problems) for document, problems in found if problems]
    pairs = [(document, problem) for document, problems in refused for problem in problems]
    problems = [problem for _, problem in pairs]
    first, count = problems[0], len(refused)
    noun = "schedule" if count == 1 else "schedules"
    message = f"{count} {noun} of the file cannot be taken, so none was. {first.path}: {first.message}"
    if any(problem.code in MISSING for problem in problems):
        return BundleRefused("MISSING_DEPENDENCIES", message, missing_details(pairs), problems)
    return BundleRefused("SCHEDULE_INVALID", message, None, problems)


def _problem_at(index: int, problem: Problem) -> Problem:
    """The problem of a draft, at its place in the file."""
    place = _PLACES.get(problem.path, problem.path)
    message = _NOT_KEPT if problem.code == "SECRET_NOT_KEPT" else problem.message
    return Problem(f"/schedules/{index}" + (f"/{place}" if place else ""), message, problem.code)
