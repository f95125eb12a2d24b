"""What a worker did outside before it died is not done again: by the key of the call, or by not trying."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from domain.engine.actions.registry import ACTIONS
from domain.engine.steps import Task
from domain.kernel import outbox
from domain.runs.runs import CALL, EFFECT
from tests.domain.engine.endpoint_runs import configure
from tests.domain.kernel.smtp_servers import Mailbox, running
from tests.faults.calls import outcomes, seed_calls, seed_install
from tests.faults.fleet import scalar
from tests.faults.guards import GUARDED
from tests.faults.inside import Inside
from tests.faults.invariants import check_invariants
from tests.faults.seeds import seed_runs, seed_workflow
from tests.runners import LocalRunner
from tests.servers import plain_config

MAIL = {
    "id": "mail",
    "type": "action.call",
    "config": {
        "actionId": "email.send",
        "version": 1,
        "inputMapping": {"to": "ada@example.test", "subject": "Invoice 42", "text": "It was paid."},
    },
}


@GUARDED
@pytest.mark.parametrize("failpoint", ["call.after_answer", "engine.after_effect", "engine.before_step_commit@2"])
def test_a_call_that_nobody_recorded_the_answer_of_is_made_again_with_its_key(
    inside: Inside, runner: LocalRunner, failpoint: str, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_guarded:
        monkeypatch.setattr(Task, "key", lambda _task, _run_id: uuid4().hex)
    configure(monkeypatch, runner.settings())
    seed_calls(inside.app, seed_install(inside.app), 1)
    inside.scheduler().dispatch()
    inside.dies(failpoint, lambda worker=inside.worker(): worker.work(CALL))
    assert len(runner.effects()) == 1
    inside.forget_leases()
    inside.go_on()
    assert inside.statuses() == {"succeeded": 1}
    assert len(runner.calls()) == 2
    assert len(runner.effects()) == (1 if is_guarded else 2)
    assert outcomes(inside.app)[-1] == ("succeeded", None)
    check_invariants(inside.app)


@pytest.fixture
def mailbox(inside: Inside) -> Iterator[Mailbox]:
    box = Mailbox()
    with running(box) as port:
        url = f"smtp://127.0.0.1:{port}"
        outbox.configure_mail(replace(plain_config(), smtp_url=url, mail_from="Bell <bell@acme.test>"))
        yield box
    outbox.configure_mail(plain_config())


@GUARDED
def test_a_mail_that_may_have_been_sent_is_not_sent_again(
    inside: Inside, mailbox: Mailbox, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail server takes the same mail twice, so the run fails with an unknown outcome and somebody looks."""
    if not is_guarded:
        key = ("email.send", 1)
        monkeypatch.setitem(ACTIONS, key, replace(ACTIONS[key], is_idempotent=True))
    seed_runs(inside.app, seed_workflow(inside.app, [MAIL], is_pure=False), 1)
    inside.scheduler().dispatch()
    inside.dies("engine.after_effect", lambda worker=inside.worker(): worker.work(EFFECT))
    assert len(mailbox.envelopes) == 1
    inside.forget_leases()
    inside.go_on()
    if is_guarded:
        assert inside.statuses() == {"failed": 1}
        assert scalar(inside.app, "SELECT error ->> 'category' FROM runs") == "OutcomeUnknownError"
        assert len(mailbox.envelopes) == 1
    else:
        assert inside.statuses() == {"succeeded": 1}
        assert len(mailbox.envelopes) == 2
    check_invariants(inside.app)
