"""`carillon runs`: what ran and runs, following it, and canceling it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import click

from workers.commands.answers import Columns, say_fields, say_json, say_line, say_list, shown, table_lines
from workers.commands.api import Api, Json, id_called, run_id
from workers.commands.options import as_json, limited, one_more, over_api, without_none

COLUMNS: Columns = {
    "id": "id",
    "status": "status",
    "ran": lambda one: one["workflowName"] or f"{one['extensionName']} {one['method']} {one['path']}",
    "started by": lambda one: one["scheduleName"] or one["eventName"] or one["startedBy"],
    "asked for": "createdAt",
    "seconds": "durationSeconds",
    "error": "errorMessage",
}
ENDED = ("succeeded", "failed", "canceled")
TAIL_SECONDS = 1.0


@click.group()
def runs() -> None:
    """See runs, follow them and cancel them."""


@runs.command("list")
@click.option("--workflow", help="Only those of this workflow: its id, key or name.")
@click.option("--schedule", help="Only those of this schedule: its id or name.")
@click.option("--status", help="queued, running, waiting, succeeded, failed, canceled, or unfinished.")
@click.option("--from", "after", help="Asked for at this instant or later.")
@click.option("--to", "before", help="Asked for before this instant.")
@limited
@as_json
@over_api
def list_runs(
    api: Api,
    workflow: str | None,
    schedule: str | None,
    status: str | None,
    after: str | None,
    before: str | None,
    limit: int | None,
    is_json: bool,
) -> None:
    """Name runs, the newest first."""
    asked = {"status": status, "from": after, "to": before}
    if workflow:
        asked["workflowId"] = id_called(api, "/workflow-definitions", workflow, "key", "name")
    if schedule:
        asked["scheduleId"] = id_called(api, "/schedules", schedule, "name", "displayName")
    found = list(api.items("/runs", one_more(limit), **asked))
    say_list(found, COLUMNS, is_json=is_json, limit=limit, nothing="There is no such run.")


@runs.command("show")
@click.argument("run")
@as_json
@over_api
def show(api: Api, run: str, is_json: bool) -> None:
    """Say everything about the run with the id RUN, and its steps."""
    found = api.get(f"/runs/{run_id(run)}")
    say_fields(found, is_json=is_json, without=("steps", "waits", "calls", "children"))
    if not is_json and found["steps"]:
        rows = [[one["stepPath"], one["nodeType"], one["status"], str(one["attempt"])] for one in found["steps"]]
        click.echo("\n" + "\n".join(table_lines(["step", "does", "status", "attempt"], rows)))


@runs.command("cancel")
@click.argument("run")
@click.option("--reason", help="Why; it is on record.")
@as_json
@over_api
def cancel(api: Api, run: str, reason: str | None, is_json: bool) -> None:
    """Cancel the run with the id RUN. One that is running ends after the step it is at."""
    done = api.post(f"/runs/{run_id(run)}/cancel", without_none(reason=reason))
    words = "is canceled" if done["status"] == "canceled" else f"is {done['status']}, and ends at its next step"
    say_json(done) if is_json else click.echo(f"Run {done['id']} {words}.")


@runs.command("tail")
@click.argument("run", required=False)
@click.option("--workflow", help="Without RUN: only runs of this workflow.")
@as_json
@over_api
def tail(api: Api, run: str | None, workflow: str | None, is_json: bool) -> None:
    """Follow the run with the id RUN until it ends, or all runs until Ctrl+C.

    Ends with 1 when RUN did not succeed. With --json each line is a document of its own.
    """
    if run is None:
        asked = {"workflowId": id_called(api, "/workflow-definitions", workflow, "key", "name")} if workflow else {}
        with suppress(KeyboardInterrupt):
            _follow(_changes(api, asked), is_json)
        return
    ended = _follow(_progress(api, run), is_json)
    if ended["status"] != "succeeded":
        raise click.ClickException(
            f"Run {run} {ended['status']}: {ended['errorMessage'] or ended['cancelReason'] or 'no reason'}"
        )


def _follow(told: Iterator[tuple[str, Json]], is_json: bool) -> Json:
    """Tell it as it comes; the last document."""
    document: Json = {}
    for line, document in told:
        if is_json:
            say_line(document)
        else:
            click.echo(line)
    return document


def _progress(api: Api, called: str) -> Iterator[tuple[str, Json]]:
    """What happens to one run until it has ended: its steps as they change, and its status."""
    told: dict[object, str] = {}
    while True:
        run = api.get(f"/runs/{run_id(called)}")
        for step in run["steps"]:
            place = (step["stepPath"], step["iteration"], step["attempt"])
            if told.get(place) != step["status"]:
                told[place] = step["status"]
                at = step["finishedAt"] or step["startedAt"] or ""
                yield f"{at}  {step['status']:<9}  {step['stepPath']}  {step['nodeType']}", step
        if told.get("run") != run["status"]:
            told["run"] = run["status"]
            yield f"{run['finishedAt'] or run['startedAt'] or run['createdAt']}  {run['status']:<9}  run {called}", run
        if run["status"] in ENDED:
            return
        time.sleep(TAIL_SECONDS)


def _changes(api: Api, asked: Json) -> Iterator[tuple[str, Json]]:
    """Runs that are new or have another status, for ever; the oldest of a look first."""
    known = {one["id"]: one["status"] for one in api.items("/runs", 200, **asked)}
    while True:
        time.sleep(TAIL_SECONDS)
        for one in reversed(list(api.items("/runs", 200, **asked))):
            if known.get(one["id"]) != one["status"]:
                known[one["id"]] = one["status"]
                at = one["finishedAt"] or one["startedAt"] or one["createdAt"]
                yield f"{at}  {one['status']:<9}  {one['id']}  {shown(one['workflowName'] or one['path'])}", one
