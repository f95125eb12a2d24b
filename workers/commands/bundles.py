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
from domain.kernel import clock
from domain.kernel.db import transacted, transaction
from workers.commands.answers import counted, say_json, shown, table_lines
from workers.commands.api import LocalApi, api_at
from workers.commands.bundle_files import read_file, refusals_told, sent_bundle, write_bundle
from workers.commands.frame import actor_for, installation, tenant_meant
from workers.commands.options import as_json, at_address, of_tenant
from workers.commands.progress import progress, waiting

COLUMNS = ("what", "key", "name", "versions")
PATH = "/workflow-definitions"


@click.group()
def bundle() -> None:
    """Carry workflows in files: between tenants, installations, and through version control.

    Schedules have files of their own: `carillon schedule-bundle`.
    """


@bundle.command("export")
@click.option("--key", "keys", multiple=True, help="Only the workflow with this key; may be said again.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of the terminal.")
@of_tenant
@at_address
@click.pass_obj
def export(
    local: LocalApi, keys: tuple[str, ...], output: Path | None, slug: str | None, url: str | None, token: str | None
) -> None:
    """Write workflows with their versions as a bundle: all of them, or those with a --key.

    The same state gives the same bytes.
    """
    with waiting("Exporting"):
        if url:
            with api_at(local, url, token, slug) as api:
                written = api.file(f"{PATH}/export", key=keys)
        else:
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
@at_address
@as_json
@click.pass_obj
def import_file(
    local: LocalApi,
    file: BinaryIO,
    force: bool,
    cancel_runs: bool,
    is_dry: bool,
    slug: str | None,
    url: str | None,
    token: str | None,
    is_json: bool,
) -> None:
    """Take the workflows of FILE in, all or none; - is standard input.

    Without --force no key may be there already. Time triggers inside workflows become schedules. Ends with 1 when nothing
    could be imported, of a dry run too.
    """
    with refusals_told():
        content = read_file(file)
        if url:
            with api_at(local, url, token, slug) as api:
                choices = {"force": force, "cancelRuns": cancel_runs}
                document = sent_bundle(api, f"{PATH}/import", content, is_dry=is_dry, **choices)
        elif is_dry:
            document = _planned(content, slug, force=force, cancel_runs=cancel_runs)
        else:
            document = _imported(content, slug, force=force, cancel_runs=cancel_runs)
    say_json(document) if is_json else _say(document)
    if any(one.get("conflict") for one in document["workflows"]):
        raise click.ClickException("This file cannot be imported so.")


@bundle.command("validate")
@click.argument("file", type=click.File("rb"))
@as_json
def validate(file: BinaryIO, is_json: bool) -> None:
    """Say whether FILE is a workflow bundle, without a database. `import --dry-run` says whether a tenant takes it."""
    with refusals_told():
        read = read_bundle(read_file(file))
    keys = [workflow.key for workflow in read.workflows]
    if is_json:
        say_json({"valid": True, "workflows": keys})
    else:
        click.echo(
            f"This is a bundle of {counted(len(keys), 'workflow')}: {', '.join(keys[:10])}" + (" …" * (len(keys) > 10))
        )


def _planned(content: bytes, slug: str | None, **choices: bool) -> dict[str, Any]:
    read = read_bundle(content)
    with installation(), transaction(), progress("Planning", len(read.workflows)) as on_progress:
        how: dict[str, Any] = {"on_progress": on_progress, **choices}
        plan = plan_import(actor_for(tenant_meant(slug)), read, now=clock.database_now(), **how)
        return plan_document(plan)


def _imported(content: bytes, slug: str | None, **choices: bool) -> dict[str, Any]:
    read = read_bundle(content)
    with installation() as config, progress("Importing", len(read.workflows)) as on_progress:
        how: dict[str, Any] = {
            "on_progress": on_progress,
            "min_interval_seconds": config.min_interval_seconds,
            **choices,
        }

        def work() -> dict[str, Any]:
            actor = actor_for(tenant_meant(slug))
            return summary_document(import_bundle(actor, read, now=clock.database_now(), **how))

        return transacted(work)


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
