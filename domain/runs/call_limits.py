"""How often people may have extensions called by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select

from domain.extensions.settings import limits
from domain.kernel.db import db
from domain.kernel.errors import Throttled
from domain.kernel.ids import first_id_at
from domain.runs.runs import BY_HAND, BY_RERUN, Run
from domain.schedules.limits import hold_limits

_WINDOW = timedelta(minutes=1)


def check_call_rate(tenant_id: UUID, now: datetime) -> None:
    """Raise Throttled when the tenant had as many calls started by hand within the last minute as it may: now, as
    rehearsals or once more. Whoever else asks waits until this has been committed."""
    hold_limits(tenant_id)
    most = limits().run_now_per_minute
    lately = select(func.count()).where(
        Run.tenant_id == tenant_id,
        Run.started_by.in_([BY_HAND, BY_RERUN]),
        Run.install_id.is_not(None),
        Run.id >= first_id_at(now - _WINDOW),
    )
    if db.session.scalars(lately).one() >= most:
        message = f"Extensions can be called by hand {most} times a minute. Wait a minute and try again."
        raise Throttled(message, code="RUN_NOW_LIMIT")
