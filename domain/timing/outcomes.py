"""What became of an occurrence, and the reasons that timing itself can give for it."""

from enum import StrEnum


class Outcome(StrEnum):
    """Every due instant ends as exactly one of these."""

    # It has a run.
    FIRED = "fired"
    # It was looked at in time, and a rule of the schedule said no.
    SKIPPED = "skipped"
    # Nobody looked in time, and the catch-up policy did not make it up.
    MISSED = "missed"
    # It was due, but its target or payload could not be run.
    REFUSED = "refused"


class Reason(StrEnum):
    """Why timing let an instant pass without a run."""

    OVERLAP = "overlap"
    QUEUE_FULL = "queue_full"
    SKIP_NEXT = "skip_next"
    PAUSED = "paused"
    SUPERSEDED = "superseded"
    LATE = "late"
    TOO_LATE = "too_late"


REASON_WORDS = {
    Reason.OVERLAP: "An earlier run of this schedule was not finished.",
    Reason.QUEUE_FULL: "As many runs of this schedule as may wait were waiting already.",
    Reason.SKIP_NEXT: "Somebody asked for this one to be skipped.",
    Reason.PAUSED: "The schedule was paused.",
    Reason.SUPERSEDED: "The schedule got a new timing before this was looked at.",
    Reason.LATE: "Nobody looked in time, and the catch-up policy does not make it up.",
    Reason.TOO_LATE: "It was later than the schedule allows.",
}
