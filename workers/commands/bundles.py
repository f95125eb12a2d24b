"""`carillon bundle`: workflows out of a tenant into a file, and out of a file into a tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import click

from domain.bundles.answers import plan_document, summary_document
from domain.bundles.documents import read_bundle
from domain.bundles.exporting import export_bundle, workflows_by_key
from domain.bundles.importing import import_bundle
from domain.bundles.plans import plan_import
from domain.bundles.reading import MAX_BYTES
from domain.kernel import clock
from domain.kernel.db import transacted, transaction
from workers.commands.answers import counted, say_json, shown, table_lines
from workers.commands.bundle_files import progress, refusals_told, write_bundle
from workers.commands.frame import actor_for, installation, tenant_meant
from workers.commands.options import as_json

COLUMNS = ("what", "key", "name", "versions")
of_tenant = click.option("--tenant", "slug", envvar="CARILLON_TENANT", help="Whose, when there are several.")


@click.group()
def bundle() -> None:
    """Carry workflows in files: between tenants, installations, and through version control.

    Schedules have files of their own: `carillon schedule-bundle`.
    """


@bundle.command("export")
@click.option("--key", "keys", multiple=True, help="Only the workflow with this key; may be said again.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of the terminal.")
@of_tenant
def export(keys: tuple[str, ...], output: Path | None, slug: str | None) -> None:
    """Write workflows with their versions as a bundle: all of them, or those with a --key.

    The same state gives the same bytes.
    """
    with installation(), transaction():
        tenant = tenant_meant(slug)
        written = export_bundle(tenant.id, workflows_by_key(tenant.id, keys) if keys else None)
    write_bundle(written, output)
    if output is not None:
        click.echo(f"{output}: {counted(len(read_bundle(written).workflows), 'workflow')}")


@bundle.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--force", is_flag=True, help="Replace workflows whose key is there already; their schedules go along.")
@click.option("--cancel-runs", is_flag=True, help="Cancel the unfinished runs of what is replaced.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be done, and change nothing.")
@of_tenant
@as_json
def import_file(file: BinaryIO, force: bool, cancel_runs: bool, is_dry: bool, slug: str | None, is_json: bool) -> None:
    """Take the workflows of FILE in, all or none; - is standard input.

    Without --force no key may be there already. Time triggers inside workflows become schedules. Ends with 1 when nothing
    could be imported, of a dry run too.
    """
    with refusals_told(is_json):
        read = read_bundle(file.read(MAX_BYTES + 1))
        how: dict[str, Any] = {"force": force, "cancel_runs": cancel_runs}
        with installation() as config, progress("Importing", len(read.workflows)) as on_progress:
            if is_dry:
                with transaction():
                    plan = plan_import(actor_for(tenant_meant(slug)), read, now=clock.database_now(), **how)
                    document, is_held = plan_document(plan), bool(plan.conflicts)
            else:
                how |= {"on_progress": on_progress, "min_interval_seconds": config.min_interval_seconds}

                def work() -> dict[str, Any]:
                    actor = actor_for(tenant_meant(slug))
                    return summary_document(import_bundle(actor, read, now=clock.database_now(), **how))

                document, is_held = transacted(work), False
    say_json(document) if is_json else _say(document)
    if is_held:
        raise click.ClickException("This file cannot be imported so.")


@bundle.command("validate")
@click.argument("file", type=click.File("rb"))
@as_json
def validate(file: BinaryIO, is_json: bool) -> None:
    """Say whether FILE is a workflow bundle, without a database. `import --dry-run` says whether a tenant takes it."""
    with refusals_told(is_json):
        read = read_bundle(file.read(MAX_BYTES + 1))
    keys = [workflow.key for workflow in read.workflows]
    if is_json:
        say_json({"valid": True, "workflows": keys})
    else:
        click.echo(
            f"This is a bundle of {counted(len(keys), 'workflow')}: {', '.join(keys[:10])}" + (" …" * (len(keys) > 10))
        )


def _say(document: dict[str, Any]) -> None:
    rows = [
        (one["action"], one["key"], shown(one["name"]), ", ".join(map(str, one["versions"])) or "draft")
        for one in document["workflows"]
    ]
    rows += [("unchanged", key, "", "") for key in document.get("unchangedWorkflows", ())]
    for line in table_lines(COLUMNS, rows):
        click.echo(line)
    for one in document["workflows"]:
        for line in _lines(one):
            click.echo(f"{one['key']}: {line}")
    if document["dryRun"]:
        click.echo("Nothing was changed: this was a dry run.")
    elif document["canceledRuns"]:
        click.echo(f"{counted(document['canceledRuns'], 'run')} canceled.")


def _lines(one: dict[str, Any]) -> list[str]:
    """What there is to say of one workflow besides its row."""
    lines = [f"{shown(warning['path'])}: {shown(warning['message'])}" for warning in one["warnings"]]
    for schedule in one["schedules"]:
        because = f": {shown(schedule['reason'])}" if schedule["reason"] else ""
        lines.append(f"schedule {shown(schedule['name'])} goes along, {schedule['status']}{because}")
    for adopted in one["inlineTriggers"]:
        said = shown(adopted["trigger"].get("cron") or adopted["trigger"].get("runAt"))
        if "scheduleName" not in adopted:
            lines.append(f"{said}: becomes a schedule")
        elif adopted["scheduleName"] is None:
            lines.append(f"{said}: STAYS IN THE DRAFT. {shown(adopted['reason'])}")
        else:
            because = f": {shown(adopted['reason'])}" if adopted["reason"] else ""
            lines.append(f"{said}: schedule {shown(adopted['scheduleName'])}, {adopted['status']}{because}")
    return lines
