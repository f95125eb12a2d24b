"""Instants as whole seconds since 1970-01-01T00:00:00Z, the unit all arithmetic of this package is done in."""

from datetime import UTC, datetime, timedelta

MINUTE = 60
DAY = 86_400

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

# A day away from datetime.max, so that no conversion to a zone can overflow.
LATEST = datetime(9999, 12, 30, tzinfo=UTC)


def check_aware(*instants: datetime) -> None:
    """Raises ValueError for a naive datetime: without a zone it names no instant."""
    if any(instant.tzinfo is None for instant in instants):
        raise ValueError("a datetime without a time zone names no instant; attach one before passing it on")


def to_epoch(instant: datetime) -> int:
    """Seconds since the epoch, rounded down to a whole second; raises ValueError for a naive datetime."""
    check_aware(instant)
    return (instant - _EPOCH) // _SECOND


def to_epoch_up(instant: datetime) -> int:
    """Seconds since the epoch, rounded up to a whole second; raises ValueError like to_epoch."""
    return to_epoch(instant) + (1 if instant.microsecond else 0)


def from_epoch(seconds: int) -> datetime:
    """The aware UTC datetime of an epoch second."""
    return datetime.fromtimestamp(seconds, UTC)


def year_of(seconds: int) -> int:
    """The UTC calendar year an epoch second lies in."""
    return from_epoch(seconds).year


def year_start(year: int) -> int:
    """The epoch second at which a UTC calendar year begins."""
    return to_epoch(datetime(year, 1, 1, tzinfo=UTC))
