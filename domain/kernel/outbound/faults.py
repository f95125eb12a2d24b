"""Why a request could not be made or its answer not be taken."""

from __future__ import annotations


class OutboundError(Exception):
    """Nothing came of the request. The message names the host at most: neither path nor addresses."""


class NotAllowed(OutboundError):
    """This address must not be asked; nothing was sent."""


class Unreachable(OutboundError):
    """Nobody answered, or the connection broke; trying again may help."""


class Untrusted(OutboundError):
    """The other side could not prove who it is."""


class TooSlow(OutboundError):
    """The time was over before the answer was complete."""


class TooLarge(OutboundError):
    """The answer is larger than allowed."""


class BadAnswer(OutboundError):
    """The answer is in a form that is not taken."""
