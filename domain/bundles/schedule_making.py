"""The schedules of workflows in a bundle, new ones and those that are there, checked one by one and written together."""

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
from domain.bundles.schedule_exporting import StoredSchedule
from domain.bundles.schedule_targets import NamedTargets
from domain.firing.creating import create_paused_schedules
from domain.firing.lifecycle import Edit, edit_settled, settled_schedules
from domain.kernel.db import db
from domain.kernel.errors import DomainError, NotFound, Refused
from domain.schedules.drafts import ScheduleDraft, Timings, checked_columns
from domain.schedules.schedules import ACTIVE, COMPLETED, Schedule, name_taken
from domain.schedules.targets import Target, bound_target

Made = UUID | DomainError
"""The id of a schedule that was made or changed, or why it was not."""


@dataclass
class WorkflowSchedules:
    """Makes and changes schedules of an import by `actor` at `now`; each workflow and each timing is looked at once.

    What it says became of each is in the order of what it was given. It raises IntegrityError, and has done nothing, when
    a name is taken that it did not know of.
    """

    actor: Actor
    targets: NamedTargets
    now: datetime
    least_seconds: int
    on_checked: Callable[[], None]
    _awake: Awake = field(default_factory=Awake)
    _bound: dict[UUID | None, Target | DomainError] = field(default_factory=dict)
    _timings: Timings = field(default_factory=dict)

    def make(self, documents: Sequence[Document]) -> list[Made]:
        """New, paused ones."""
        wanted = self._with_free_names([self._checked(document, None, None) for document in documents])
        with db.session.begin_nested():
            ids = iter(create_paused_schedules(self.actor, [one for one in wanted if isinstance(one, dict)], self.now))
        return [next(ids) if isinstance(one, dict) else one for one in wanted]

    def change(self, kept: Sequence[tuple[Document, StoredSchedule]]) -> list[Made]:
        """Those that are there, as they are under their locks: somebody may have paused one since it was looked for."""
        held = settled_schedules(self.actor, [stored.id for _, stored in kept], self.now)
        wanted = [self._checked(document, stored, held.get(stored.id)) for document, stored in kept]
        edits = {
            stored.id: Edit(held[stored.id], columns, is_to_fire(held[stored.id]))
            for (_, stored), columns in zip(kept, wanted, strict=True)
            if isinstance(columns, dict)
        }
        with db.session.begin_nested():
            edit_settled(self.actor, list(edits.values()), self.now)
        return [stored.id if isinstance(one, dict) else one for (_, stored), one in zip(kept, wanted, strict=True)]

    def _checked(
        self, document: Document, stored: StoredSchedule | None, schedule: Schedule | None
    ) -> dict[str, Any] | DomainError:
        """The columns of a schedule. `schedule`: the held row of the stored one."""
        self._awake.stir()
        try:
            if stored is not None and schedule is None:
                raise NotFound
            draft = draft_of(document, self.targets.ids(document, stored), enabled=is_to_fire(schedule))
            target = self._target(draft)
            kept = schedule.payload_json if schedule else None
            columns = checked_columns(draft, target, self.now, self.least_seconds, kept, self._timings)
            return target.columns | columns
        except DomainError as error:
            return error
        finally:
            self.on_checked()

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


def is_to_fire(schedule: Schedule | None) -> bool:
    """What of a draft is no member of a document: new ones are paused, and one that has completed is due again with
    whatever is new about it, as after every edit."""
    return schedule is not None and schedule.status in (ACTIVE, COMPLETED)
