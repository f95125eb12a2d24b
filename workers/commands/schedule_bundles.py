"""`carillon schedule-bundle`: schedules out of a tenant into a file, and out of a file into a tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import click

from domain.accounts.tenants import Tenant
from domain.bundles.reading import MAX_BYTES
from domain.bundles.schedule_documents import ScheduleBundle, read_schedule_bundle
from domain.bundles.schedule_exporting import export_schedules, schedules_by_key
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
from workers.commands.bundle_files import progress, refusals_told, write_bundle
from workers.commands.frame import actor_for, installation, tenant_meant
from workers.commands.options import as_json

of_tenant = click.option("--tenant", "slug", envvar="CARILLON_TENANT", help="Whose, when there are several.")
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
def export(keys: tuple[str, ...], output: Path | None, slug: str | None) -> None:
    """Write schedules as a bundle: all that have not completed, or those with a --key."""
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
@as_json
def import_file(file: BinaryIO, is_dry: bool, slug: str | None, is_json: bool) -> None:
    """Take the schedules of FILE in, all or none; - is standard input.

    New ones arrive paused. One whose external key is there already is edited and keeps its on/off state. Doing it again
    changes nothing. Ends with 1 when a schedule cannot be taken.
    """
    with refusals_told(is_json):
        bundle = read_schedule_bundle(file.read(MAX_BYTES + 1))
        with installation() as config, progress("Importing", len(bundle.schedules)) as on_progress:
            done = transacted(lambda: _done(slug, bundle, config, on_progress, is_dry=is_dry))
    if is_json:
        say_json({"dryRun": is_dry, "schedules": [_document(one) for one in done.entries]})
    else:
        _say(done, is_dry=is_dry)
    if done.problems:
        raise click.ClickException("This file cannot be imported as it is.")


@schedule_bundle.command("validate")
@click.argument("file", type=click.File("rb"))
@as_json
def validate(file: BinaryIO, is_json: bool) -> None:
    """Say whether FILE is a schedule bundle, without a database. `import --dry-run` says whether a tenant takes it."""
    with refusals_told(is_json):
        bundle = read_schedule_bundle(file.read(MAX_BYTES + 1))
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
        return plan_schedule_import(actor, bundle, now, least)
    return import_schedules(actor, bundle, now, min_interval_seconds=least, on_progress=on_progress)


def _say(done: ScheduleImport, *, is_dry: bool) -> None:
    rows = [(one.action, shown(one.key), shown(one.name), shown(one.target)) for one in done.entries]
    for line in table_lines(COLUMNS, rows) if rows else ["The file holds no schedule."]:
        click.echo(line)
    for one in done.entries:
        for warning in one.warnings:
            click.echo(f"{shown(one.key)}: {warning}")
        for problem in one.problems:
            click.echo(f"{problem.path}: {shown(problem.message)}", err=True)
    if is_dry:
        click.echo("Nothing was changed: this was a dry run.")
    elif new := done.count("create"):
        click.echo(f"{counted(new, 'new schedule')}, paused. `carillon schedules resume` starts one.")


def _document(entry: ScheduleEntry) -> dict[str, Any]:
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
