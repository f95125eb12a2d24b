"""The bell, the page behind it, and the outbox, as alice, bob and charlie meet them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from domain.accounts.notifications import PAGE_SIZE, Notification, notify
from domain.accounts.tenants import Tenant
from domain.kernel.outbox import configure_mail, mail_id, post_mail
from domain.runs.inbox import COUNTED
from tests.factories import NOW, a_published_workflow, a_run, a_task
from tests.servers import plain_config
from tests.statements import counted
from tests.web.cast import Browser


def tell(who: Browser, title: str = "Sync paused", **more: Any) -> Any:
    (one,) = notify(
        who.tenant.id, [who.user.id], title, more.pop("body", ""), more.pop("severity", "info"), NOW, **more
    )
    return one


def titles_of(page: str) -> list[str]:
    return re.findall(r'class="name told"[^>]*><bdi>([^<]*)</bdi>', page)


def bell_of(page: str) -> str:
    found = re.search(r'href="/notifications" aria-label="([^"]+)"', page)
    assert found
    return found[1]


# The top bar


def test_the_top_bar_counts_what_waits(alice: Browser, bob: Browser, acme: Tenant) -> None:
    assert bell_of(alice.get("/runs").text) == "Notifications" and 'class="bubble"' not in alice.get("/runs").text
    a_task(a_run(a_published_workflow(acme), "waiting"))
    tell(alice), tell(alice, "Again")
    page = alice.get("/runs").text
    assert bell_of(page) == "Notifications, 2 unread"
    assert page.count('Tasks</span> <span class="bubble">1<span class="sr"> open</span></span>') == 2
    assert bell_of(bob.get("/runs").text) == "Notifications"


def test_counts_end_at_99(alice: Browser, db: Any) -> None:
    row = {"tenant_id": alice.tenant.id, "user_id": alice.user.id, "severity": "info", "title": "x"}
    db.add_all([Notification(**row) for _ in range(COUNTED + 1)])
    db.flush()
    assert bell_of(alice.get("/runs").text) == "Notifications, 99+ unread"


def test_the_counts_of_a_page_take_two_statements_and_parts_of_pages_take_none(alice: Browser, acme: Tenant) -> None:
    def top_bar_of(statements: list[str]) -> list[str]:
        return [one for one in statements if "notifications" in one or ("memberships" in one and "!=" in one)]

    with counted() as page:
        alice.get("/notifications")
    with counted() as part:
        alice.get("/runs", htmx=True)
    assert len([one for one in page if one in top_bar_of(page)]) == 3  # and the list itself
    assert top_bar_of(part) == []


# The list


def test_an_empty_list_says_what_will_appear(bob: Browser) -> None:
    assert "No notifications yet" in bob.get("/notifications").text
    assert "Nothing unread" in bob.get("/notifications?show=unread").text


def test_one_reads_what_one_was_told_and_nobody_else_does(alice: Browser, bob: Browser, charlie: Browser) -> None:
    tell(alice, "First", body="Line one\nLine two", severity="error")
    tell(alice, "Second", link="/runs?status=failed")
    page = alice.get("/notifications").text
    assert titles_of(page) == ["Second", "First"]
    assert "Line one\nLine two" in page and "Error" in page and 'href="/runs?status=failed"' in page
    assert titles_of(bob.get("/notifications").text) == titles_of(charlie.get("/notifications").text) == []


def test_reading_one_leads_on_to_where_it_points(alice: Browser, db: Any) -> None:
    told, other = tell(alice, "Look", link="/runs?status=failed"), tell(alice, "Other")
    answer = alice.post(f"/notifications/{told}/read", {"follow": "1"}, htmx=True)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/runs?status=failed")
    assert alice.post(f"/notifications/{other}/read", {"follow": "1"}).location == "/notifications"
    assert alice.post(f"/notifications/{told}/read").location == "/notifications"
    db.expire_all()
    assert db.get(Notification, told).read_at and db.get(Notification, other).read_at
    page = alice.get("/notifications").text
    assert 'class="unread"' not in page and "hx-vals" not in page
    assert titles_of(alice.get("/notifications?show=unread").text) == []


def test_all_can_be_read_at_once(alice: Browser, bob: Browser) -> None:
    tell(alice), tell(alice), tell(bob)
    assert alice.post("/notifications/read").location == "/notifications"
    assert "2 notifications are marked as read." in alice.get("/notifications").text
    assert bell_of(alice.get("/notifications").text) == "Notifications"
    assert bell_of(bob.get("/notifications").text) == "Notifications, 1 unread"


def test_nobody_reads_what_others_were_told(alice: Browser, bob: Browser, charlie: Browser, db: Any) -> None:
    told = tell(alice)
    for who in (bob, charlie):
        assert who.post(f"/notifications/{told}/read").status_code == 404
    db.expire_all()
    assert db.get(Notification, told).read_at is None


def test_pages_follow_each_other_in_a_fixed_number_of_statements(alice: Browser) -> None:
    tell(alice, "Number 0")
    with counted() as one:
        alice.get("/notifications")
    for number in range(1, PAGE_SIZE + 1):
        tell(alice, f"Number {number}")
    with counted() as many:
        page = alice.get("/notifications").text
    assert len(many) == len(one)
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following and titles_of(alice.get(following[1].replace("&amp;", "&")).text) == ["Number 0"]


def test_what_workflows_say_cannot_become_markup(alice: Browser) -> None:
    nasty = '"><img src=x onerror=alert(1)>'
    tell(alice, nasty, body=nasty, link='/a?b="onload="x')
    page = alice.get("/notifications").text
    assert "<img" not in page and '"onload="' not in page


# The outbox


@pytest.fixture
def tray(tmp_path: Path) -> Iterator[Path]:
    configure_mail(replace(plain_config(), outbox_dir=str(tmp_path)))
    yield tmp_path
    configure_mail(plain_config())


def post(tenant: Tenant, subject: str, **more: str) -> str:
    message = EmailMessage(policy=SMTP)
    message["Subject"] = subject
    message.set_content(more.get("text", "Hello"))
    if "html" in more:
        message.add_alternative(more["html"], subtype="html")
    post_mail(tenant.id, subject, message, ["ada@example.test"])
    return mail_id(subject)


def test_the_outbox_shows_the_mails_of_the_tenant_as_text(alice: Browser, charlie: Browser, tray: Path) -> None:
    kept = post(alice.tenant, "Rechnung <b>", html="<script>alert(1)</script>")
    page = alice.get("/system/outbox").text
    assert "Rechnung &lt;b&gt;" in page and "ada@example.test" in page
    shown = alice.get(f"/system/outbox?mail={kept}").text
    assert "Hello" in shown and "&lt;script&gt;alert(1)" in shown and "<script>alert" not in shown
    assert "Rechnung" not in charlie.get("/system/outbox").text
    assert charlie.get(f"/system/outbox?mail={kept}").status_code == 404


@pytest.mark.parametrize("asked", ["", "../x", "%2e%2e%2fx", "0" * 32, "%00"])
def test_only_a_mail_that_is_there_is_shown(alice: Browser, tray: Path, asked: str) -> None:
    assert alice.get(f"/system/outbox?mail={asked}").status_code == 404


def test_the_outbox_is_for_admins(bob: Browser, tray: Path) -> None:
    assert bob.get("/system/outbox").status_code == 403


def test_without_an_outbox_the_page_says_where_mail_goes(alice: Browser) -> None:
    assert "nothing is kept here" in alice.get("/system/outbox").text


def test_times_are_of_when_it_was_told(alice: Browser) -> None:
    tell(alice)
    assert (NOW + timedelta(0)).strftime("%Y-%m-%dT%H:%M:%SZ") in alice.get("/notifications").text
