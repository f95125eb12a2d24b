"""The pages that give workflows and schedules out as files and take them in: who may, what the plan says, and what is done."""

from __future__ import annotations

import html
import io
import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from domain.accounts.tenants import Tenant
from domain.accounts.users import Membership
from domain.bundles.exporting import export_bundle
from domain.bundles.schedule_exporting import export_schedules
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.calls import a_call_schedule
from tests.factories import NOW, a_published_workflow, a_run, a_schedule, an_install
from tests.web.cast import Browser

NOT_JSON = b'{"format": "carillon.schedule-bundle", "formatVersion": 1, "schedules": ['


def chosen(content: bytes) -> dict[str, Any]:
    return {"file": (io.BytesIO(content), "bundle.json")}


def sent(browser: Browser, address: str, **fields: bytes) -> Any:
    """A large form in several parts, which the client of the tests would put into a file of its own."""
    parts = [
        f'--part\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value
        for name, value in fields.items()
    ]
    body = b"\r\n".join([*parts, b"--part--\r\n"])
    kind = "multipart/form-data; boundary=part"
    return browser.open(address, method="POST", data=body, content_type=kind, htmx=True)


def confirmed(page: str, content: bytes, **more: Any) -> dict[str, Any]:
    """The form of a plan as the page would send it."""
    found = re.findall(r'name="(fingerprint|request_key)" value="([^"]+)"', page)
    assert len(found) == 2, page
    return dict(found) | {"bundle": content.decode(), **more}


def living_schedules(db: Any, tenant: Tenant) -> int:
    query = select(func.count()).where(Schedule.tenant_id == tenant.id, Schedule.deleted_at.is_(None))
    return int(db.scalar(query))


@pytest.fixture
def schedules(acme: Tenant, db: Any) -> bytes:
    """A file with one new schedule of acme's workflow."""
    schedule = a_schedule(a_published_workflow(acme, "Invoice sync"), "Morning sync", external_key="morning")
    db.flush()
    content = export_schedules(acme.id)
    schedule.deleted_at = NOW
    db.commit()
    return content


def test_the_list_of_schedules_leads_to_a_file_of_all_of_them(bob: Browser, acme: Tenant, db: Any) -> None:
    a_schedule(a_published_workflow(acme), "Morning sync")
    db.commit()

    assert 'href="/schedules/export"' in bob.get("/schedules").text
    answer = bob.get("/schedules/export")

    assert answer.headers["Content-Disposition"] == "attachment; filename=schedule-bundle.json"
    assert answer.data == export_schedules(acme.id)


def test_selected_schedules_go_into_the_file_and_no_others(alice: Browser, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)
    wanted = [a_schedule(workflow, name) for name in ("Morning", "Evening")]
    a_schedule(workflow, "Night")
    db.commit()

    sent = {"action": "export", "id": [str(one.id) for one in wanted]}
    answer = alice.post("/schedules/bulk/ask", sent, htmx=True)

    assert answer.status_code == 204
    found = json.loads(alice.get(answer.headers["HX-Redirect"]).data)
    assert {one["name"] for one in found["schedules"]} == {"Morning", "Evening"}
    assert alice.post("/schedules/bulk/ask", sent).location == answer.headers["HX-Redirect"]
    assert alice.post("/schedules/bulk/ask", {"action": "export"}, htmx=True).status_code == 422


def test_all_that_match_go_into_the_file(alice: Browser, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)
    for name in ("Morning", "Evening", "Report"):
        a_schedule(workflow, name)
    db.commit()

    answer = alice.post("/schedules/bulk/ask?q=ning", {"action": "export", "all": "1"}, htmx=True)

    address = answer.headers["HX-Redirect"]
    assert parse_qs(urlsplit(address).query) == {"q": ["ning"]}
    assert {one["name"] for one in json.loads(alice.get(address).data)["schedules"]} == {"Morning", "Evening"}


def test_what_another_tenant_has_is_in_no_file(charlie: Browser, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)
    schedule = a_schedule(workflow)
    db.commit()

    assert charlie.get(f"/schedules/export?id={schedule.id}").status_code == 404
    assert charlie.get(f"/workflows/export?id={workflow.id}").status_code == 404
    assert json.loads(charlie.get("/schedules/export").data)["schedules"] == []


def test_workflows_go_into_a_file_one_some_or_all(bob: Browser, acme: Tenant, db: Any) -> None:
    made = [a_published_workflow(acme, name) for name in ("Alpha", "Beta", "Gamma")]
    db.commit()
    page = bob.get("/workflows").text

    assert 'href="/workflows/export"' in page and page.count('form="bulk" name="id"') == 3
    assert f'href="/workflows/export?id={made[0].id}"' in bob.get(f"/workflows/{made[0].id}").text
    answer = bob.get(f"/workflows/export?id={made[0].id}&id={made[1].id}")
    assert answer.headers["Content-Disposition"] == "attachment; filename=workflow-bundle.json"
    assert answer.data == export_bundle(acme.id, [made[0].id, made[1].id])
    assert bob.get("/workflows/export").data == export_bundle(acme.id)


def test_a_plan_of_schedules_says_what_would_happen_and_changes_nothing(
    alice: Browser, acme: Tenant, schedules: bytes, db: Any
) -> None:
    page = alice.post("/schedules/import/plan", chosen(schedules), htmx=True)

    assert page.status_code == 200 and "<html" not in page.text
    assert "1 schedule in the file" in page.text and "Morning sync" in page.text and "Import 1 schedule" in page.text
    db.expire_all()
    assert living_schedules(db, acme) == 0


def test_what_was_confirmed_is_imported_and_the_page_says_so(
    alice: Browser, acme: Tenant, schedules: bytes, db: Any
) -> None:
    plan = alice.post("/schedules/import/plan", chosen(schedules))
    assert "<html" in plan.text

    answer = alice.post("/schedules/import", confirmed(plan.text, schedules))

    made = db.scalars(select(Schedule).where(Schedule.deleted_at.is_(None))).one()
    assert answer.status_code == 200 and "1 schedule imported." in answer.text
    assert f'href="/schedules/{made.id}"' in answer.text and made.status == "paused"


def test_of_a_large_file_what_needs_a_person_is_shown_and_the_rest_is_counted(
    alice: Browser, schedules: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.bundles.LINES_SHOWN", 2)
    file = json.loads(schedules)
    (one,) = file["schedules"]
    file["schedules"] = [{**one, "externalKey": f"key-{number}", "name": f"Sync {number}"} for number in range(4)]
    file["schedules"][3]["timing"] = one["timing"] | {"cron": "every morning"}

    page = alice.post("/schedules/import/plan", chosen(json.dumps(file).encode()), htmx=True).text

    assert re.findall('<span class="name">([^<]+)', page) == ["Sync 3", "Sync 0"]
    told = re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page))
    assert "4 schedules in the file 1 conflict 3 new" in told
    assert "And 2 more: 2 new" in told


def test_a_plan_that_is_out_of_date_is_shown_again_instead_of_being_done(
    alice: Browser, acme: Tenant, schedules: bytes, db: Any
) -> None:
    plan = alice.post("/schedules/import/plan", chosen(schedules), htmx=True)
    form = confirmed(plan.text, schedules)
    assert alice.post("/schedules/import", form, htmx=True).status_code == 200

    again = alice.post("/schedules/import", form | {"request_key": "another"}, htmx=True)

    assert again.status_code == 409 and "There is nothing to import" in again.text
    assert living_schedules(db, acme) == 1
    assert alice.post("/schedules/import", form | {"fingerprint": ""}, htmx=True).status_code == 409


def test_an_import_that_is_sent_again_is_told_again_and_done_once(
    alice: Browser, acme: Tenant, schedules: bytes, db: Any
) -> None:
    key = export_bundle(acme.id).replace(b"Invoice sync", b"Payroll").replace(b'"invoice-sync"', b'"payroll"')
    for kind, content in (("schedule", schedules), ("workflow", key)):
        plan = alice.post(f"/{kind}s/import/plan", chosen(content))
        form = confirmed(plan.text, content)
        first = alice.post(f"/{kind}s/import", form)
        count = db.scalar(select(func.count()).select_from(Schedule if kind == "schedule" else Workflow))

        again = alice.post(f"/{kind}s/import", form)

        assert (first.status_code, again.status_code) == (200, 200)
        assert f"1 {kind} imported." in first.text and again.text.count(f"1 {kind} imported.") == 1
        made = re.findall(rf'href="(/{kind}s/[0-9a-f-]{{36}})"', first.text)
        assert made and made == re.findall(rf'href="(/{kind}s/[0-9a-f-]{{36}})"', again.text)
        assert db.scalar(select(func.count()).select_from(Schedule if kind == "schedule" else Workflow)) == count
    # The same form with another choice is another request.
    assert alice.post("/workflows/import", form | {"force": "1"}, htmx=True).status_code == 409


def test_a_file_of_the_other_kind_is_led_to_its_page(alice: Browser, acme: Tenant, schedules: bytes) -> None:
    workflows = export_bundle(acme.id)
    here = alice.post("/workflows/import/plan", chosen(schedules), htmx=True)
    there = alice.post("/schedules/import/plan", chosen(workflows), htmx=True)

    assert (here.status_code, there.status_code) == (422, 422)
    assert "This file holds schedules, not workflows." in here.text and 'href="/schedules/import"' in here.text
    assert "This file holds workflows, not schedules." in there.text and 'href="/workflows/import"' in there.text
    assert "carillon.schedule-bundle" not in here.text


def test_what_is_no_bundle_at_all_is_told_apart(alice: Browser) -> None:
    said = {
        b"": "This file is empty.",
        b"\x89PNG\r\n\x1a\n\x00\x00\xff": "This is not UTF-8 text: byte 1 cannot be read. Choose a workflow-bundle.json",
        b"hello": "This is not valid JSON",
        b"[]": "A bundle is a JSON object.",
        b'{"format": "other"}': "This is no file of the format alga-psa.workflow-bundle.",
        b'{"format": ["a"]}': "This is no file of the format alga-psa.workflow-bundle.",
    }
    for content, words in said.items():
        answer = alice.post("/workflows/import/plan", chosen(content), htmx=True)
        assert answer.status_code == 422 and words in answer.text, (content, answer.text)


def test_bytes_that_are_no_text_are_refused_where_they_would_be_replaced(alice: Browser) -> None:
    answer = sent(alice, "/workflows/import/plan", bundle=b'{"format": "\xff"}')
    assert answer.status_code == 400 and "no text in UTF-8" in answer.text


def test_the_text_of_a_plan_has_no_ends_of_lines_which_a_browser_would_double(alice: Browser, schedules: bytes) -> None:
    odd = b"\xef\xbb\xbf" + schedules.replace(b"\n", b"\r\n").replace(b"Morning sync", "Morning\u2028sync".encode())

    page = alice.post("/schedules/import/plan", chosen(odd), htmx=True).text

    held = re.search(r'<textarea name="bundle"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    assert held and "\n" not in held[1] and "\r" not in held[1]
    assert json.loads(html.unescape(held[1])) == json.loads(odd.decode("utf-8-sig"))


def test_a_file_that_cannot_be_taken_is_explained_at_its_places(
    alice: Browser, acme: Tenant, schedules: bytes, db: Any
) -> None:
    nothing = alice.post("/schedules/import/plan", {}, htmx=True)
    assert nothing.status_code == 422 and "Choose a file first." in nothing.text
    assert alice.post("/schedules/import/plan", chosen(NOT_JSON), htmx=True).status_code == 422
    odd = json.loads(schedules)
    odd["schedules"][0]["timing"]["cron"] = 7
    answer = alice.post("/schedules/import/plan", chosen(json.dumps(odd).encode()), htmx=True)
    assert (
        answer.status_code == 422 and "/schedules/0/timing/cron" in answer.text and "data-error-summary" in answer.text
    )

    odd["schedules"][0]["timing"]["cron"] = "61 * * * *"
    plan = alice.post("/schedules/import/plan", chosen(json.dumps(odd).encode()), htmx=True)
    assert plan.status_code == 200 and "1 conflict" in plan.text and "/schedules/0/timing/cron" in plan.text
    assert "Import 1 schedule" not in plan.text
    forced = alice.post("/schedules/import", confirmed(plan.text, json.dumps(odd).encode()), htmx=True)
    assert forced.status_code == 422 and living_schedules(db, acme) == 0


def test_a_file_of_some_megabytes_is_taken_and_a_huge_one_is_not(alice: Browser, schedules: bytes, db: Any) -> None:
    roomy = schedules + b" " * 3_000_000
    plan = sent(alice, "/schedules/import/plan", bundle=roomy)
    assert plan.status_code == 200
    fingerprint = confirmed(plan.text, b"")["fingerprint"].encode()
    done = sent(alice, "/schedules/import", bundle=roomy, fingerprint=fingerprint)
    assert "1 schedule imported." in done.text
    huge = sent(alice, "/schedules/import/plan", bundle=b" " * 17_000_000)
    assert huge.status_code == 413 and "A file may have at most 16 MB" in huge.text


def test_what_a_file_says_is_text_on_the_page(alice: Browser, schedules: bytes) -> None:
    odd = schedules.replace(b"Morning sync", b"</textarea><script>alert(1)</script>")

    page = alice.post("/schedules/import/plan", chosen(odd), htmx=True).text

    assert "&lt;/textarea&gt;&lt;script&gt;" in page and "<script>" not in page


def test_who_may_not_change_schedules_imports_none(
    alice: Browser, bob: Browser, acme: Tenant, schedules: bytes, db: Any
) -> None:
    assert 'href="/schedules/import"' in alice.get("/schedules").text
    assert 'href="/schedules/import"' not in bob.get("/schedules").text
    assert bob.get("/schedules/import").status_code == 403
    assert bob.post("/schedules/import/plan", chosen(schedules)).status_code == 403
    assert bob.post("/schedules/import", {"bundle": schedules.decode()}).status_code == 403


def test_schedules_of_endpoints_need_the_permission_of_extensions(bob: Browser, acme: Tenant, db: Any) -> None:
    a_call_schedule(an_install(acme), "Pull devices")
    db.scalars(select(Membership).where(Membership.user_id == bob.user.id)).one().role = "operator"
    db.commit()
    content = export_schedules(acme.id)

    assert bob.get("/schedules/import").status_code == 200
    assert bob.post("/schedules/import/plan", chosen(content)).status_code == 403
    assert bob.post("/schedules/import", {"bundle": content.decode()}).status_code == 403


@pytest.fixture
def workflows(acme: Tenant, db: Any) -> bytes:
    """A file with one workflow, which acme has as well."""
    a_published_workflow(acme, "Invoice sync", key="invoice-sync")
    db.commit()
    return export_bundle(acme.id)


def renamed(content: bytes, name: str, key: str) -> bytes:
    return content.replace(b"Invoice sync", name.encode()).replace(b"invoice-sync", key.encode())


def keys_of(db: Any, tenant: Tenant) -> dict[str, Any]:
    db.expire_all()
    living = select(Workflow).where(Workflow.tenant_id == tenant.id, Workflow.deleted_at.is_(None))
    return {one.key: one.id for one in db.scalars(living)}


def test_a_new_workflow_is_planned_confirmed_and_exported_as_it_came(
    alice: Browser, acme: Tenant, workflows: bytes, db: Any
) -> None:
    content = renamed(workflows, "Payroll", "payroll")
    assert 'href="/workflows/import"' in alice.get("/workflows").text
    plan = alice.post("/workflows/import/plan", chosen(content), htmx=True)
    assert plan.status_code == 200 and "Import 1 workflow" in plan.text and "version 1" in plan.text
    assert set(keys_of(db, acme)) == {"invoice-sync"}

    done = alice.post("/workflows/import", confirmed(plan.text, content))

    assert done.status_code == 200, done.text
    made = keys_of(db, acme)["payroll"]
    assert "1 workflow imported." in done.text and f'href="/workflows/{made}"' in done.text
    assert export_bundle(acme.id, [made]) == content


def test_a_workflow_that_exists_is_replaced_only_when_that_is_chosen(
    alice: Browser, acme: Tenant, workflows: bytes, db: Any
) -> None:
    content = workflows.replace(b"Invoice sync", b"Invoices")
    before = keys_of(db, acme)["invoice-sync"]
    a_schedule(db.get_one(Workflow, before), "Morning sync", next_fire_at=NOW + timedelta(days=9999))
    db.commit()
    plan = alice.post("/workflows/import/plan", chosen(content), htmx=True)
    assert "1 conflict" in plan.text and 'name="force"' in plan.text and "Import 1 workflow" not in plan.text
    refused = alice.post("/workflows/import", confirmed(plan.text, content), htmx=True)
    assert refused.status_code == 422 and keys_of(db, acme)["invoice-sync"] == before

    plan = alice.post("/workflows/import/plan", {"bundle": content.decode(), "force": "1"}, htmx=True)
    assert "1 replaced" in plan.text and "1 schedule goes over to it." in plan.text
    # What was seen without the choice is not what is done with it.
    without = alice.post("/workflows/import", confirmed(plan.text, content), htmx=True)
    assert without.status_code == 409 and keys_of(db, acme)["invoice-sync"] == before
    done = alice.post("/workflows/import", confirmed(plan.text, content, force="1"), htmx=True)
    assert "1 workflow imported." in done.text and keys_of(db, acme)["invoice-sync"] != before


def test_unfinished_runs_hold_a_replacement_until_it_may_cancel_them(
    alice: Browser, acme: Tenant, workflows: bytes, db: Any
) -> None:
    content = workflows.replace(b"Invoice sync", b"Invoices")
    run = a_run(db.get_one(Workflow, keys_of(db, acme)["invoice-sync"]), "queued")
    db.commit()
    held = alice.post("/workflows/import/plan", {"bundle": content.decode(), "force": "1"}, htmx=True)
    assert "1 run has not ended" in held.text and 'name="cancel_runs"' in held.text

    choices = {"force": "1", "cancel_runs": "1"}
    plan = alice.post("/workflows/import/plan", {"bundle": content.decode(), **choices}, htmx=True)
    done = alice.post("/workflows/import", confirmed(plan.text, content, **choices), htmx=True)

    assert "will be canceled" in plan.text and "1 workflow imported." in done.text
    db.expire_all()
    assert db.get_one(Run, run.id).status == "canceled"


def test_what_a_workflow_needs_and_is_not_here_is_named(alice: Browser, workflows: bytes) -> None:
    odd = json.loads(renamed(workflows, "Payroll", "payroll"))
    step = {"id": "go", "type": "action.call", "config": {"actionId": "nobody.knows", "version": 1, "inputMapping": {}}}
    odd["workflows"][0]["publishedVersions"][0]["definition"]["steps"] = [step]

    answer = alice.post("/workflows/import/plan", chosen(json.dumps(odd).encode()), htmx=True)

    assert answer.status_code == 422 and "nobody.knows" in answer.text


def test_only_admins_import_workflows(bob: Browser, workflows: bytes) -> None:
    assert 'href="/workflows/import"' not in bob.get("/workflows").text
    assert bob.get("/workflows/import").status_code == 403
    assert bob.post("/workflows/import/plan", chosen(workflows)).status_code == 403
    assert bob.post("/workflows/import", {"bundle": workflows.decode(), "force": "1"}).status_code == 403
