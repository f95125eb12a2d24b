"""`carillon schedule-bundle`: schedules out of a tenant into a file, and out of a file into a tenant."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import click

from domain.accounts.tenants import Tenant
from domain.bundles.schedule_documents import ScheduleBundle, read_schedule_bundle
from domain.bundles.schedule_exporting import derived_id, export_schedules, schedules_by_key
from domain.bundles.schedule_importing import (
    Progress,
    ScheduleEntry,
    ScheduleImport,
    import_schedules,
    plan_schedule_import,
)
from domain.kernel import clock
from domain.kernel.config import Config
from domain.kernel.db import transacted, transaction
from domain.kernel.errors import Problem
from workers.commands.answers import counted, say_json, shown, table_lines
from workers.commands.api import Api, Json, LocalApi, api_at
from workers.commands.bundle_files import read_file, refusals_told, sent_bundle, write_bundle
from workers.commands.frame import actor_for, installation, tenant_meant
from workers.commands.options import as_json, at_address, of_tenant
from workers.commands.progress import progress, waiting

PATH = "/schedule-bundles"
COLUMNS = ("what", "key", "name", "runs")


@click.group("schedule-bundle")
def schedule_bundle() -> None:
    """Carry schedules in files: between tenants, installations, and through version control.

    They run workflows and endpoints by name, which have to be there first. What was typed as a secret is in no file.
    """


@schedule_bundle.command("export")
@click.option("--key", "keys", multiple=True, help="Only the schedule with this external key; may be said again.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of the terminal.")
@of_tenant
@at_address
@click.pass_obj
def export(
    local: LocalApi, keys: tuple[str, ...], output: Path | None, slug: str | None, url: str | None, token: str | None
) -> None:
    """Write schedules as a bundle: all that have not completed, or those with a --key."""
    with waiting("Exporting"):
        if url:
            with api_at(local, url, token, slug) as api:
                written = api.file(PATH, scheduleId=_ids_there(api, keys))
        else:
            with installation(), transaction():
                tenant = tenant_meant(slug)
                written = export_schedules(tenant.id, _ids(tenant, keys) if keys else None)
    write_bundle(written, output)
    if output is not None:
        click.echo(f"{output}: {counted(len(read_schedule_bundle(written).schedules), 'schedule')}")


@schedule_bundle.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be done, and change nothing.")
@of_tenant
@at_address
@as_json
@click.pass_obj
def import_file(
    local: LocalApi, file: BinaryIO, is_dry: bool, slug: str | None, url: str | None, token: str | None, is_json: bool
) -> None:
    """Take the schedules of FILE in, all or none; - is standard input.

    New ones arrive paused. One whose external key is there already is edited and keeps its on/off state. Doing it again
    changes nothing. Ends with 1 when a schedule cannot be taken.
    """
    with refusals_told():
        content = read_file(file)
        if url:
            with api_at(local, url, token, slug) as api:
                document = sent_bundle(api, PATH, content, is_dry=is_dry)
        else:
            bundle = read_schedule_bundle(content)
            with installation() as config, progress("Importing", len(bundle.schedules)) as on_progress:
                done = transacted(lambda: _done(slug, bundle, config, on_progress, is_dry=is_dry))
                document = _document(done, is_dry=is_dry)
    say_json(document) if is_json else _say(document)
    if any(one["errors"] for one in document["schedules"]):
        raise click.ClickException("This file cannot be imported as it is.")


@schedule_bundle.command("validate")
@click.argument("file", type=click.File("rb"))
@as_json
def validate(file: BinaryIO, is_json: bool) -> None:
    """Say whether FILE is a schedule bundle, without a database. `import --dry-run` says whether a tenant takes it."""
    with refusals_told():
        bundle = read_schedule_bundle(read_file(file))
    if is_json:
        say_json({"valid": True, "schedules": len(bundle.schedules)})
    else:
        click.echo(f"This is a bundle of {counted(len(bundle.schedules), 'schedule')}.")


def _ids(tenant: Tenant, keys: tuple[str, ...]) -> list[UUID]:
    found = schedules_by_key(tenant.id, keys)
    if unknown := [key for key in keys if key not in found]:
        raise click.ClickException(f"No schedule of {tenant.slug} has the external key {unknown[0]}.")
    return [found[key].id for key in keys]


def _done(
    slug: str | None, bundle: ScheduleBundle, config: Config, on_progress: Progress, *, is_dry: bool
) -> ScheduleImport:
    actor, now, least = actor_for(tenant_meant(slug)), clock.database_now(), config.min_interval_seconds
    if is_dry:
        return plan_schedule_import(actor, bundle, now, least, on_progress)
    return import_schedules(actor, bundle, now, min_interval_seconds=least, on_progress=on_progress)


def _ids_there(api: Api, keys: tuple[str, ...]) -> list[str]:
    """The ids of the schedules with these keys, or that an export gives them, of a tenant elsewhere."""
    if not keys:
        return []
    ids = {one["externalKey"]: one["id"] for one in api.items("/schedules") if one["externalKey"]}
    found = {key: ids.get(key) or derived_id(key) for key in keys}
    if unknown := [key for key, schedule_id in found.items() if schedule_id is None]:
        raise click.ClickException(f"No schedule has the external key {unknown[0]}.")
    return [str(one) for one in found.values()]


def _say(document: Json) -> None:
    entries = document["schedules"]
    rows = [(one["action"], shown(one["externalKey"]), shown(one["name"]), shown(one["target"])) for one in entries]
    for line in table_lines(COLUMNS, rows) if rows else ["The file holds no schedule."]:
        click.echo(line)
    for one in entries:
        for warning in one["warnings"]:
            click.echo(f"{shown(one['externalKey'])}: {shown(warning)}")
        for problem in one["errors"]:
            click.echo(f"{shown(problem['path'])}: {shown(problem['message'])}", err=True)
    if document["dryRun"]:
        click.echo("Nothing was changed: this was a dry run.")
    elif new := sum(one["action"] == "create" for one in entries):
        click.echo(f"{counted(new, 'new schedule')}, paused. `carillon schedules resume` starts one.")


def _document(done: ScheduleImport, *, is_dry: bool) -> Json:
    """As the API answers."""
    entries = [_entry_document(one) for one in done.entries]
    return {"dryRun": is_dry, "fingerprint": done.fingerprint, "schedules": entries}


def _entry_document(entry: ScheduleEntry) -> Json:
    return {
        "externalKey": entry.key,
        "name": entry.name,
        "targetKind": entry.kind,
        "target": entry.target,
        "action": entry.action,
        "scheduleId": str(entry.schedule_id) if entry.schedule_id else None,
        "warnings": list(entry.warnings),
        "errors": [_problem(one) for one in entry.problems],
    }


def _problem(problem: Problem) -> dict[str, str]:
    return {"path": problem.path, "message": problem.message, "code": problem.code}
