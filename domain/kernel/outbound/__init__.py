"""Requests to addresses that somebody else wrote: what may be reached, and one exchange that cannot be led elsewhere.

`configure_outbound` once per process; `exchange` asks and answers, or raises one of the errors below.
"""

from domain.kernel.outbound.exchanging import RESERVED_HEADERS, Answer, exchange
from domain.kernel.outbound.faults import (
    BadAnswer,
    NotAllowed,
    OutboundError,
    TooLarge,
    TooSlow,
    Unreachable,
    Untrusted,
)
from domain.kernel.outbound.rules import configure_outbound

__all__ = [
    "RESERVED_HEADERS",
    "Answer",
    "BadAnswer",
    "NotAllowed",
    "OutboundError",
    "TooLarge",
    "TooSlow",
    "Unreachable",
    "Untrusted",
    "configure_outbound",
    "exchange",
]
