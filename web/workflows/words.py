"""The settings of a workflow in words: what each group of them says while it is folded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from domain.kernel.errors import Refused
from domain.publishing.failing import DEFAULT_MIN_RUNS, DEFAULT_THRESHOLD
from web.forms.drafts import INFERRED, DraftForm, percent_text, typed_trigger

DESCRIPTION_SHOWN = 100
# What an empty field of auto-pause stands for.
USUAL_PERCENT = percent_text(DEFAULT_THRESHOLD)
USUAL_MIN_RUNS = str(DEFAULT_MIN_RUNS)


@dataclass(frozen=True)
class Summary:
    """One line per group of settings, as they are in the form."""

    about: str
    trigger: str
    payload: str
    runs: str
    usual_percent: str = USUAL_PERCENT
    usual_min_runs: str = USUAL_MIN_RUNS

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Term and words, for those who may only read."""
        return [("Trigger", self.trigger), ("Payload", self.payload), ("Runs", self.runs)]


def summary_of(form: DraftForm) -> Summary:
    return Summary(_about(form), trigger_words(form), _payload(form), _runs(form))


def stored_trigger_words(trigger: Any) -> str:
    """The trigger of a version."""
    return trigger_words(DraftForm(data=typed_trigger(trigger)))


def trigger_words(form: DraftForm) -> str:
    if not form.is_on_event:
        return "No trigger"
    name = (form.event_name.data or "").strip() or "not chosen yet"
    return f"Event {name} · {_mapped(form)}"


def _mapped(form: DraftForm) -> str:
    try:
        count = len(form.typed_mapping)
    except Refused:
        return "its mapping cannot be read"
    if not count:
        return "its payload as it is"
    return "1 field mapped" if count == 1 else f"{count} fields mapped"


def _about(form: DraftForm) -> str:
    description = " ".join((form.description.data or "").split())
    cut = description if len(description) <= DESCRIPTION_SHOWN else description[: DESCRIPTION_SHOWN - 1] + "…"
    return f"{form.name.data or 'no name'} · {cut or 'no description'}"


def _payload(form: DraftForm) -> str:
    if form.schema_mode.data == INFERRED:
        return "Inferred from the event"
    return f"Pinned to {form.schema_ref.data}" if form.schema_ref.data else "Pinned to no schema yet"


def _runs(form: DraftForm) -> str:
    limit = (form.concurrency_limit.data or "").strip()
    at_once = "one at a time" if limit == "1" else f"{limit} at a time" if limit else "any number at a time"
    pausing = "never paused by itself"
    if form.auto_pause_on_failure.data:
        share = (form.failure_rate_threshold.data or "").strip().removesuffix("%").strip() or USUAL_PERCENT
        runs = (form.failure_rate_min_runs.data or "").strip() or USUAL_MIN_RUNS
        pausing = f"paused when {share} % of {runs} runs failed"
    days = (form.retention_days.data or "").strip()
    kept = f"kept for {days} {'day' if days == '1' else 'days'}" if days else "kept as long as the tenant keeps runs"
    return " · ".join([at_once.capitalize(), pausing, kept])
