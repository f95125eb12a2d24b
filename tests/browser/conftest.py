"""Browsers in front of the running product. Whatever a page complains about in its console fails the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from domain.kernel.db import db
from tests import servers
from tests.browser.site import Acme, Json, Site, an_acme
from tests.faults.fleet import fleet_on
from tests.runners import LocalRunner
from tests.servers import Addresses

# Generous: a machine under load is slow, not wrong.
WAIT_MILLISECONDS = 30_000
# Chromium notes every refused answer there, wanted or not.
NOTED_ANSWER = "Failed to load resource: the server responded with a status of 4"
# htmx notes every request that a newer one replaces.
NOTED_REPLACEMENTS = ("htmx:afterRequest", "htmx:sendAbort")
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error("refused by the policy:", event.violatedDirective, event.blockedURI, event.sourceFile);
});
"""

expect.set_options(timeout=WAIT_MILLISECONDS)


@dataclass
class Watch:
    """What the pages of one test complained about: errors of scripts, and what the Content-Security-Policy refused."""

    complaints: list[str] = field(default_factory=list)
    is_on: bool = True

    def add(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._note(page.url, str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith((NOTED_ANSWER, *NOTED_REPLACEMENTS)):
            self._note(message.page.url if message.page else "?", message.text)

    def _note(self, url: str, text: str) -> None:
        if self.is_on:
            self.complaints.append(f"{url}: {text}")


Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def site(
    addresses: Addresses, redis_url: str, tmp_path_factory: pytest.TempPathFactory, _session_runner: LocalRunner
) -> Iterator[Site]:
    """Carillon as it runs in production, on a database of its own, with a runner."""
    name = f"browser_{uuid4().hex}"
    env = servers.environment(servers.create_database(addresses, name), redis_url)
    env |= _session_runner.start().env
    env["CARILLON_OUTBOX_DIR"] = str(tmp_path_factory.mktemp("outbox"))
    servers.flush_redis(addresses, redis_url)
    app = servers.make_app(servers.config_for(env["DATABASE_URL"], redis_url))
    with servers.serving(env, tmp_path_factory.mktemp("web") / "log") as url, fleet_on(env) as fleet:
        fleet.be_patient()
        fleet.scheduler()
        worker = fleet.worker()
        fleet.await_processes(2)
        yield Site(url, app, fleet, worker)
    with app.app_context():
        db.engine.dispose()
    servers.drop_database(addresses, name)


@pytest.fixture
def acme(site: Site) -> Acme:
    """A tenant of the test's own, with a published workflow."""
    return an_acme(site)


@pytest.fixture
def watch() -> Iterator[Watch]:
    seen = Watch()
    yield seen
    assert seen.complaints == []


@pytest.fixture
def visit(site: Site, watch: Watch, new_context: Callable[..., BrowserContext]) -> Visit:
    """`visit(acme.alice)` is a page in a browser of hers; more options go to the browser's context."""

    def open_page(state: Json | None = None, **options: Any) -> Page:
        values = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce"} | options
        context = new_context(base_url=site.url, storage_state=state, **values)
        context.set_default_timeout(WAIT_MILLISECONDS)
        if values.get("java_script_enabled", True):
            context.add_init_script(TELL_VIOLATIONS)
        context.on("page", watch.add)
        return context.new_page()

    return open_page
