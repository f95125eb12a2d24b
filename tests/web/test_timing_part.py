"""The part of the dialog that says when: the builder and its pattern, the zone, and what is told while one types."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.kernel import clock
from domain.schedules.cursors import spread_offset
from domain.schedules.schedules import Schedule
from domain.timing.words import duration_words
from domain.timing.zone_names import zone_choices
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow
from tests.web.cast import Browser
from tests.web.schedule_pages import a_quiet_schedule, errors_at, is_chosen, schedules, summary, typed, value_of

BUILDER = {"minute": "15", "at": "06:45", "weekdays": ["1", "3", "0"], "day": "28"}
WRITTEN = {
    "hourly": "15 * * * *",
    "daily": "45 6 * * *",
    "weekly": "45 6 * * 1,3,0",
    "monthly": "45 6 28 * *",
}


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme, schema={"type": "object"})
    db.commit()
    return workflow


def built(every: str, **changes: Any) -> dict[str, Any]:
    return typed(**{"cron": "", "every": every, "every_drawn": every} | BUILDER | changes)


def chosen_days(page: str) -> list[str]:
    tags = re.findall(r'<input[^>]* name="weekdays"[^>]*>', page)
    return [tag.split('value="')[1][0] for tag in tags if " checked" in tag]


def preview_of(browser: Browser, fields: dict[str, Any], query: str = "") -> str:
    return html.unescape(browser.post(f"/schedules/preview{query}", fields, htmx=True).text)


def chosen(browser: Browser, drawn: str, every: str, **changes: Any) -> str:
    """The part after another way to repeat was chosen."""
    return browser.post("/schedules/when", built(every, every_drawn=drawn, **changes), htmx=True).text


@pytest.mark.parametrize(("every", "cron"), WRITTEN.items())
def test_the_builder_writes_the_pattern_that_is_stored(alice: Browser, sync: Workflow, every: str, cron: str) -> None:
    assert alice.post("/schedules", built(every)).status_code == 303
    assert [schedule.cron for schedule in schedules()] == [cron]


@pytest.mark.parametrize(("every", "cron"), WRITTEN.items())
def test_an_edit_opens_in_the_builder_and_changes_nothing_by_itself(
    alice: Browser, sync: Workflow, every: str, cron: str
) -> None:
    stored = a_quiet_schedule(sync, cron=cron, timezone="Europe/Paris")
    page = alice.get(f"/schedules/{stored.id}/edit").text
    assert is_chosen(page, "every", every)
    assert value_of(page, "every_drawn") == every
    said = preview_of(alice, built(every, cron=cron))
    assert f'<code class="meta mono">{cron}</code>' in said


def test_what_means_the_same_keeps_the_spelling_that_is_stored(alice: Browser, sync: Workflow) -> None:
    stored = a_quiet_schedule(sync, cron="0 9 * * MON-FRI", timezone="Europe/Paris")
    page = alice.get(f"/schedules/{stored.id}/edit").text
    assert is_chosen(page, "every", "weekly")
    assert (chosen_days(page), value_of(page, "at")) == (["1", "2", "3", "4", "5"], "09:00")
    same = built("weekly", cron="0 9 * * MON-FRI", at="09:00", weekdays=["1", "2", "3", "4", "5"], revision="1")
    assert alice.post(f"/schedules/{stored.id}/edit", same).status_code == 303
    assert schedules()[0].cron == "0 9 * * MON-FRI"


def test_a_pattern_the_builder_cannot_show_opens_as_cron(alice: Browser, sync: Workflow) -> None:
    stored = a_quiet_schedule(sync, cron="*/20 8-17 * * 1-5")
    page = alice.get(f"/schedules/{stored.id}/edit").text
    assert is_chosen(page, "every", "cron")
    assert value_of(page, "cron") == "*/20 8-17 * * 1-5"


def test_a_new_schedule_opens_daily_in_the_zone_of_the_tenant(alice: Browser, sync: Workflow) -> None:
    page = alice.get("/schedules/new").text
    assert is_chosen(page, "every", "daily")
    assert "Daily at 09:00, UTC" in page


def test_a_form_that_names_no_way_to_repeat_sends_a_pattern(alice: Browser, sync: Workflow) -> None:
    assert alice.post("/schedules", typed(cron="*/10 * * * *")).status_code == 303
    assert schedules()[0].cron == "*/10 * * * *"


WRONG = {
    "no weekday": ("weekly", {"weekdays": None}, "weekdays", "Choose at least one weekday."),
    "no time": ("daily", {"at": ""}, "at", "Enter a time from 00:00 to 23:59."),
    "a time beyond the day": ("monthly", {"at": "24:00"}, "at", "Enter a time"),
    "a day beyond the month": ("monthly", {"day": "32"}, "day", "from 1 to 31"),
    "no minute": ("hourly", {"minute": ""}, "minute", "from 0 to 59"),
    "no way at all": ("now and then", {}, "every", "Choose hourly, daily"),
}


@pytest.mark.parametrize(("every", "change", "field", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_the_builder_cannot_write_is_said_at_its_field(
    alice: Browser, sync: Workflow, every: str, change: dict[str, Any], field: str, said: str
) -> None:
    fields = built(every, **change)
    answer = alice.post("/schedules", fields)
    assert answer.status_code == 422
    assert said in errors_at(answer.text, field)
    assert said in summary(answer.text)
    assert errors_at(answer.text, "cron") == ""
    assert value_of(answer.text, "day") == fields["day"]
    assert schedules() == []
    assert said in preview_of(alice, fields)


def test_what_is_wrong_beside_the_builder_is_said_with_it(alice: Browser, sync: Workflow) -> None:
    answer = alice.post("/schedules", built("weekly", weekdays=None, name="", timezone="Mars"))
    for field in ("weekdays", "name", "timezone"):
        assert errors_at(answer.text, field), field


def test_a_pattern_of_the_builder_that_fires_too_often_is_refused_where_one_sees_it(
    alice: Browser, sync: Workflow, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.schedules.editor.min_interval_seconds", lambda: 7200)
    answer = alice.post("/schedules", built("hourly"))
    assert "at least 7200 seconds" in errors_at(answer.text, "every")


def test_choosing_cron_keeps_what_the_builder_wrote(alice: Browser) -> None:
    for every, cron in WRITTEN.items():
        part = chosen(alice, every, "cron", cron="0 9 * * *")
        assert part.lstrip().startswith('<div id="when-fields">')
        assert value_of(part, "every_drawn") == "cron"
        assert value_of(part, "cron") == cron
        assert cron in part.split('id="timing-preview"')[1]


def test_choosing_the_builder_shows_what_the_pattern_says(alice: Browser) -> None:
    part = chosen(alice, "cron", "weekly", cron="30 7 * * 6,7")
    assert (chosen_days(part), value_of(part, "at")) == (["6", "0"], "07:30")
    part = chosen(alice, "cron", "monthly", cron="30 7 5 * *")
    assert (value_of(part, "day"), value_of(part, "at")) == ("5", "07:30")
    daily = chosen(alice, "cron", "daily", cron="30 7 5 * *")
    assert (value_of(daily, "day"), value_of(daily, "at")) == ("5", "07:30")
    assert "Daily at 07:30" in daily


def test_a_pattern_the_builder_cannot_show_is_kept_and_comes_back(alice: Browser) -> None:
    odd = "*/5 8-17 * * 1-5"
    part = chosen(alice, "cron", "daily", cron=odd)
    assert f'cannot show <code class="mono">{odd}</code>' in part
    assert value_of(part, "cron") == odd
    assert "Daily at 06:45" in part
    again = chosen(alice, "daily", "cron", cron=odd)
    assert value_of(again, "cron") == odd
    assert value_of(again, "at") == "06:45"
    assert "cannot show" not in again


def test_a_half_typed_pattern_survives_a_look_at_the_builder(alice: Browser) -> None:
    part = chosen(alice, "cron", "weekly", cron="0 9 * *")
    assert value_of(chosen(alice, "weekly", "cron", cron=value_of(part, "cron")), "cron") == "0 9 * *"


def test_a_builder_that_writes_nothing_leaves_the_pattern_alone(alice: Browser) -> None:
    assert value_of(chosen(alice, "weekly", "cron", cron="0 9 * * 1", weekdays=None), "cron") == "0 9 * * 1"


def test_saving_the_builder_replaces_a_pattern_that_was_kept(alice: Browser, sync: Workflow) -> None:
    assert alice.post("/schedules", built("daily", cron="*/5 8-17 * * 1-5")).status_code == 303
    assert schedules()[0].cron == "45 6 * * *"


def test_without_scripts_the_chosen_way_decides_and_a_check_keeps_everything(alice: Browser, sync: Workflow) -> None:
    page = alice.post("/schedules", built("monthly", cron="*/5 * * * *", check="1"))
    assert page.status_code == 200
    assert "On day 28 of every month at 06:45" in page.text
    assert value_of(page.text, "cron") == "*/5 * * * *"
    assert chosen_days(page.text) == ["1", "3", "0"]
    assert schedules() == []


def test_clock_changes_and_remarks_are_told_while_one_types(alice: Browser) -> None:
    said = preview_of(alice, typed(cron="30 2 * * *"))
    assert "02:30 does not exist, it fires at 03:00." in said
    assert "02:30 happens twice, it fires the first time only." in said
    skipped = preview_of(alice, typed(cron="30 2 * * *", dst_gap="skip", dst_repeat="both"))
    assert "it does not fire." in skipped and "it fires both times." in skipped
    assert "no fire is affected" in preview_of(alice, typed(cron="0 9 * * *"))
    assert "There is no day 31 in Feb" in preview_of(alice, typed(cron="0 9 31 * *"))
    assert "pile up" in preview_of(alice, typed(cron="* * * * *"))
    assert "pile up" not in preview_of(alice, typed(cron="* * * * *", overlap="skip"))
    assert "Clocks change" not in preview_of(alice, typed(cron="0 9 * * *", timezone="UTC"))


def test_a_fire_that_a_clock_change_moves_is_marked_among_the_next(alice: Browser) -> None:
    once = typed(trigger_type="schedule", cron="", run_at="2037-10-25T02:30")
    said = preview_of(alice, once)
    assert "02:30 happens twice, it fires the first time only." in said
    assert "clock change</span>" in said
    gap = preview_of(alice, once | {"run_at": "2037-03-29T02:30"})
    assert "02:30 does not exist, it fires at 03:00." in gap


def test_one_sentence_is_said_aloud_in_a_place_that_stays(alice: Browser) -> None:
    said = preview_of(alice, typed(cron="0 9 31 * *"))
    assert 'role="status" hx-swap-oob="innerHTML">On day 31 of every month that has it at 09:00' in said
    assert said.count('role="status"') == 1
    page = alice.get("/schedules/new").text
    assert 'id="timing-said" role="status"></p>' in page


def test_a_window_on_a_time_that_comes_once_is_said_to_be_unused(alice: Browser) -> None:
    once = typed(trigger_type="schedule", cron="", run_at="2037-06-01T02:30", ends_at="2037-07-01T00:00")
    assert "Not before and Not after is not used" in preview_of(alice, once)


def test_the_spread_is_told_and_for_a_stored_schedule_exactly(alice: Browser, sync: Workflow) -> None:
    stored = a_quiet_schedule(sync, cron="0 9 * * *")
    fields = typed(spread_seconds="600")
    assert "Each starts up to 10 min later, always by the same amount." in preview_of(alice, fields)
    own = spread_offset(stored.id, 600)
    expected = f"Each starts {duration_words(own.total_seconds())} later." if own > timedelta(0) else "Europe/Paris"
    assert expected in preview_of(alice, fields, f"?schedule={stored.id}")
    assert "Each starts" not in preview_of(alice, fields | {"spread_seconds": "soon"})


def test_a_schedule_of_others_is_not_found_by_the_preview(charlie: Browser, sync: Workflow) -> None:
    stored: Schedule = a_quiet_schedule(sync)
    for path in ("preview", "when"):
        assert charlie.post(f"/schedules/{path}?schedule={stored.id}", typed(), htmx=True).status_code == 404
        assert charlie.post(f"/schedules/{path}?schedule=x", typed(), htmx=True).status_code == 200


@pytest.mark.parametrize(
    ("text", "stored", "note"),
    [
        ("europe/paris", "Europe/Paris", ""),
        (" AMERICA/NEW YORK ", "America/New_York", ""),
        ("asia/calcutta", "Asia/Kolkata", "asia/calcutta is an old name; Asia/Kolkata is used."),
        ("US/Eastern", "US/Eastern", "US/Eastern is an old name of America/New_York; both mean the same."),
    ],
)
def test_a_pasted_zone_is_understood(alice: Browser, sync: Workflow, text: str, stored: str, note: str) -> None:
    fields = typed(timezone=text, cron="0 9 * * *")
    assert note in preview_of(alice, fields)
    assert alice.post("/schedules", fields).status_code == 303
    assert schedules()[0].timezone == stored


def test_the_picker_offers_common_zones_first_and_each_with_its_offset(alice: Browser, acme: Tenant, db: Any) -> None:
    acme.timezone = "Asia/Kathmandu"
    db.commit()
    page = alice.get("/schedules/new").text
    listed = re.search(r'<datalist id="zones">(.*?)</datalist>', page, re.DOTALL)
    assert listed
    options = re.findall(r'<option value="([^"]+)">([^<]+)</option>', listed[1])
    assert options[:2] == [("UTC", "UTC"), ("Asia/Kathmandu", "UTC+5:45")]
    assert [choice.name for choice in zone_choices("Asia/Kathmandu", clock.now())] == [name for name, _ in options]
    assert len(options) > 400 and len({name for name, _ in options}) == len(options)
    assert value_of(page, "timezone") == "Asia/Kathmandu"
