"""The new schedules of workflows in a bundle, checked one by one and written together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, any_, literal, select

from domain.accounts.audit import Actor
from domain.bundles.awake import Awake
from domain.bundles.schedule_documents import Document, draft_of
from domain.bundles.schedule_targets import NamedTargets
from domain.firing.creating import create_paused_schedules
from domain.kernel.db import db
from domain.kernel.errors import DomainError, Refused
from domain.schedules.drafts import ScheduleDraft, checked_columns
from domain.schedules.schedules import Schedule, name_taken
from domain.schedules.targets import Target, bound_target

Made = UUID | DomainError
"""The id of a new schedule, or why there is none."""


@dataclass
class NewSchedules:
    """Makes schedules of an import by `actor` at `now`; each workflow is looked at once."""

    actor: Actor
    targets: NamedTargets
    now: datetime
    least_seconds: int
    _bound: dict[UUID | None, Target | DomainError] = field(default_factory=dict)

    def make(self, documents: Sequence[Document], on_checked: Callable[[], None]) -> list[Made]:
        """What became of each. Raises IntegrityError, and has made none, when somebody takes one of the names meanwhile."""
        awake = Awake()
        checked: list[dict[str, Any] | DomainError] = []
        for document in documents:
            awake.stir()
            checked.append(self._checked(document))
            on_checked()
        wanted = self._with_free_names(checked)
        with db.session.begin_nested():
            ids = iter(create_paused_schedules(self.actor, [one for one in wanted if isinstance(one, dict)], self.now))
        return [next(ids) if isinstance(one, dict) else one for one in wanted]

    def _checked(self, document: Document) -> dict[str, Any] | DomainError:
        try:
            draft = draft_of(document, self.targets.ids(document, None), enabled=False)
            target = self._target(draft)
            return target.columns | checked_columns(draft, target, self.now, self.least_seconds)
        except DomainError as error:
            return error

    def _target(self, draft: ScheduleDraft) -> Target:
        if draft.workflow_id not in self._bound:
            try:
                self._bound[draft.workflow_id] = bound_target(self.actor.tenant_id, draft)
            except DomainError as error:
                self._bound[draft.workflow_id] = error
        found = self._bound[draft.workflow_id]
        if isinstance(found, DomainError):
            raise found
        return found

    def _with_free_names(self, checked: Sequence[dict[str, Any] | DomainError]) -> list[dict[str, Any] | DomainError]:
        """The same, refused where the workflow has a schedule of that name, or the file one before it."""
        taken = self._taken_names([one for one in checked if isinstance(one, dict)])
        found: list[dict[str, Any] | DomainError] = []
        for one in checked:
            if isinstance(one, dict) and (one["workflow_id"], one["name"]) in taken:
                found.append(Refused([name_taken(one["name"])]))
                continue
            found.append(one)
            if isinstance(one, dict):
                taken.add((one["workflow_id"], one["name"]))
        return found

    def _taken_names(self, wanted: Sequence[dict[str, Any]]) -> set[Any]:
        workflow_ids, names = {one["workflow_id"] for one in wanted}, {one["name"] for one in wanted}
        living = select(Schedule.workflow_id, Schedule.name).where(
            Schedule.tenant_id == self.actor.tenant_id,
            Schedule.deleted_at.is_(None),
            Schedule.workflow_id.in_(workflow_ids),
            # One array: thousands of parameters cost more than the query.
            Schedule.name == any_(literal(sorted(names), ARRAY(Text))),
        )
        return {(row.workflow_id, row.name) for row in db.session.execute(living)} if wanted else set()
