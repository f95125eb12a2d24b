"""What the workflows of a bundle need of an installation: recomputed from their definitions, whatever the file claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.bundles.documents import BundledWorkflow
from domain.bundles.form import shortened
from domain.bundles.reading import BundleRefused
from domain.engine.actions.registry import ACTIONS
from domain.engine.known import Known
from domain.engine.nodes.registry import NODE_TYPES
from domain.kernel.errors import Problem
from domain.workflows.definitions import BRANCHES

MISSING_DEPENDENCIES = "MISSING_DEPENDENCIES"
_SHOWN = 5
_LISTED = 1_000


@dataclass
class Needs:
    """Action ids with versions, types of steps, and refs of payload schemas."""

    actions: set[tuple[str, int]] = field(default_factory=set)
    node_types: set[str] = field(default_factory=set)
    schema_refs: set[str] = field(default_factory=set)

    def document(self) -> dict[str, Any]:
        """As the details of a refusal have them: the first thousand of each kind, names that are too long cut off."""
        actions = sorted(self.actions)[:_LISTED]
        return {
            "missingActions": [{"actionId": shortened(action), "version": version} for action, version in actions],
            "missingNodeTypes": [shortened(name) for name in sorted(self.node_types)[:_LISTED]],
            "missingSchemaRefs": [shortened(ref) for ref in sorted(self.schema_refs)[:_LISTED]],
        }

    def __bool__(self) -> bool:
        return bool(self.actions or self.node_types or self.schema_refs)

    def __ior__(self, other: Needs) -> Needs:
        self.actions |= other.actions
        self.node_types |= other.node_types
        self.schema_refs |= other.schema_refs
        return self


def needs_of(workflow: BundledWorkflow) -> Needs:
    """What the draft and all versions of a workflow need, to run and to be published again."""
    needs = Needs()
    _note_refs(needs, workflow.trigger, workflow.schema_ref)
    _note_steps(needs, workflow.draft_definition)
    for version in workflow.versions:
        _note_refs(needs, version.trigger, version.schema_ref)
        _note_steps(needs, version.definition)
    return needs


def check_dependencies(workflows: Sequence[BundledWorkflow], known: Known) -> None:
    """Raises BundleRefused with MISSING_DEPENDENCIES when this installation lacks something that the workflows need."""
    missing = {workflow.key: _missing(needs_of(workflow), known) for workflow in workflows}
    missing = {key: needs for key, needs in missing.items() if needs}
    if not missing:
        return
    together = Needs()
    for needs in missing.values():
        together |= needs
    by_workflow = [{"workflowKey": key, **needs.document()} for key, needs in missing.items()]
    places = {workflow.key: workflow.place for workflow in workflows}
    problems = [
        Problem(places[key], f"{key} needs {_words(needs)}.", MISSING_DEPENDENCIES) for key, needs in missing.items()
    ]
    message = (
        f"This installation lacks {_words(together)}. Install what provides the actions and steps, register the payload"
        " schemas, and import again."
    )
    details = {"missingByWorkflow": by_workflow, **together.document()}
    raise BundleRefused(MISSING_DEPENDENCIES, message, details, problems)


def claims_less(workflow: BundledWorkflow) -> bool:
    """Whether the file claims to need less than the workflow does; claims of more do no harm."""
    claimed = workflow.needs
    if claimed is None:
        return False
    needs = needs_of(workflow)
    actions = {(one["actionId"], one["version"]) for one in claimed["actions"]}
    types = {name for name in needs.node_types if not name.startswith("control.")}
    return not (
        needs.actions <= actions
        and types <= set(claimed["nodeTypes"])
        and needs.schema_refs <= set(claimed["schemaRefs"])
    )


def steps_of(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every step at any depth, in branches of unknown types too."""
    waiting = [definition.get("steps")]
    while waiting:
        steps = waiting.pop()
        for step in steps if isinstance(steps, list) else ():
            if isinstance(step, dict):
                yield step
                waiting.extend(step.get(branch) for branch in BRANCHES)


def _note_steps(needs: Needs, definition: dict[str, Any]) -> None:
    if isinstance(ref := definition.get("payloadSchemaRef"), str):
        needs.schema_refs.add(ref)
    for step in steps_of(definition):
        kind, config = step.get("type"), step.get("config")
        if isinstance(kind, str):
            needs.node_types.add(kind)
        if not isinstance(config, dict):
            continue
        action, version = config.get("actionId"), config.get("version")
        if kind == "action.call" and isinstance(action, str) and type(version) is int:
            needs.actions.add((action, version))
        if kind == "human.task" and isinstance(ref := config.get("formSchemaRef"), str):
            needs.schema_refs.add(ref)


def _note_refs(needs: Needs, trigger: Any, ref: str | None) -> None:
    source = trigger.get("sourcePayloadSchemaRef") if isinstance(trigger, dict) else None
    needs.schema_refs.update(one for one in (ref, source) if isinstance(one, str) and one)


def _missing(needs: Needs, known: Known) -> Needs:
    return Needs(
        {one for one in needs.actions if one not in ACTIONS},
        {one for one in needs.node_types if one not in NODE_TYPES},
        {one for one in needs.schema_refs if one not in known.schema_refs},
    )


def _words(needs: Needs) -> str:
    actions = [f"{action} in version {version}" for action, version in sorted(needs.actions)]
    kinds = (("action", actions), ("step type", sorted(needs.node_types)), ("schema", sorted(needs.schema_refs)))
    named = [f"the {kind} {shortened(name)}" for kind, names in kinds for name in names]
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return ", ".join(named[:_SHOWN]) + more
