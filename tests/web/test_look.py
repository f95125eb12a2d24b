"""The look: words of statuses, the small charts, the frame, the shared macros, and what the Content-Security-Policy asks of them."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask, flash, render_template, render_template_string
from wtforms import EmailField, Form, HiddenField, PasswordField, RadioField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from domain.kernel import clock
from web import filters
from web.bars import Bar, bars_summary, last_bars, span_bar
from web.top_bar import TopBar

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TONES = {"ok", "fail", "held", "run", "mute", "plain"}
ALICE = SimpleNamespace(
    tenant=SimpleNamespace(name="Acme <b>", timezone="Europe/Paris", has_schedules=True),
    user=SimpleNamespace(name="Alice", email="alice@acme.test"),
    role="admin",
    can=lambda _permission: True,
)


class SignIn(Form):
    email = EmailField("E-mail", [InputRequired("Enter your e-mail address.")])
    password = PasswordField("Password", [InputRequired("Enter your password.")])
    next = HiddenField()


class Choices(Form):
    name = StringField("Name", [InputRequired("Give it a name.")])
    zone = SelectField("Zone", choices=[SelectChoice("UTC", "UTC")])
    overlap = RadioField(
        "Overlap", choices=[SelectChoice("queue", "Queue"), SelectChoice("skip", "Skip")], default="queue"
    )


@pytest.fixture
def app(monkeypatch):
    app = Flask("look", template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"))
    app.secret_key = "look"
    app.jinja_env.globals["csrf_token"] = lambda: "token-1"
    app.context_processor(lambda: {"current_access": ALICE})
    app.jinja_env.globals["top_bar"] = lambda _access: TopBar("3", "99+", [], has_more=False)
    filters.register(app)
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return app


@pytest.fixture
def render(app):
    def render_source(source, path="/schedules", **values):
        with app.test_request_context(path):
            return render_template_string(source, **values)

    return render_source


class Elements(HTMLParser):
    """Every start tag as (name, attributes)."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def named(self, tag, **wanted):
        return [attrs for name, attrs in self.found if name == tag and wanted.items() <= attrs.items()]


def page_of(app, template, path="/schedules", **values):
    with app.test_request_context(path):
        return render_template(template, **values)


def test_every_label_has_a_known_tone_and_an_icon_of_the_sprite():
    sprite = (ROOT / "static/icons.svg").read_text()
    for labels in (filters.SCHEDULE_LABELS, filters.RUN_LABELS, filters.OUTCOME_LABELS, filters.WORKFLOW_LABELS):
        for label in labels.values():
            assert label.tone in TONES
            assert f'<symbol id="{label.icon}"' in sprite
            assert label.word


def test_every_icon_named_in_a_template_or_script_is_in_the_sprite():
    sprite = set(re.findall(r'<symbol id="([a-z-]+)"', (ROOT / "static/icons.svg").read_text()))
    for path in [*(ROOT / "templates").rglob("*.html"), *(ROOT / "static").glob("*.js")]:
        named = set(re.findall(r'(?<![\w.])(?:ui\.)?icon\("([a-z-]+)"', path.read_text()))
        assert named <= sprite, path


def test_an_active_schedule_whose_last_run_failed_is_failing():
    assert filters.schedule_status(SimpleNamespace(status="active", last_run_status="failed")).word == "Failing"
    assert filters.schedule_status(SimpleNamespace(status="active", last_run_status="succeeded")).word == "Active"
    assert filters.schedule_status("active", "failed").word == "Failing"


def test_a_paused_schedule_stays_paused_whatever_its_last_run_did():
    assert filters.schedule_status(SimpleNamespace(status="paused", last_run_status="failed")).word == "Paused"


def test_a_status_of_a_newer_release_is_shown_in_its_own_words():
    assert filters.run_status("timed_out") == filters.Label("Timed out", "mute", "info-circle")


@pytest.mark.parametrize(
    ("deleted_at", "paused_at", "version", "word"),
    [(NOW, NOW, 3, "Deleted"), (None, NOW, 3, "Paused"), (None, None, 3, "Published"), (None, None, None, "Draft")],
)
def test_a_workflow_is_deleted_before_paused_before_published(deleted_at, paused_at, version, word):
    workflow = SimpleNamespace(deleted_at=deleted_at, paused_at=paused_at, published_version=version)
    assert filters.workflow_status(workflow).word == word


def test_the_bars_say_in_words_what_they_show():
    bars = [Bar("ok", 1.0, "09:00")] * 18 + [Bar("failed", 2.0, "09:18"), Bar("skipped", None, "09:19")]
    assert bars_summary(bars) == "Last 20: 18 ok, 1 failed, 1 skipped"
    assert 'aria-label="Last 20: 18 ok, 1 failed, 1 skipped"' in last_bars(bars)
    assert 'aria-label="No occurrences yet"' in last_bars([])


def test_the_bars_show_the_newest_twenty():
    drawn = last_bars([Bar("failed", 1.0, "old")] + [Bar("ok", 1.0, "new")] * 20)
    assert "old" not in drawn
    assert drawn.count("<title>new</title>") == 20


def test_what_is_missing_of_the_twenty_is_a_row_of_dots_on_the_base_line():
    (dots,) = re.findall('class="b-none" d="([^"]+)"', last_bars([Bar("ok", 1.0, "new")] * 17))
    assert dots == "M1 19h2m4 0h2m4 0h2"
    assert "b-none" not in last_bars([Bar("ok", 1.0, "new")] * 20)


def test_a_bar_is_as_high_as_its_run_was_long_against_the_typical_one():
    drawn = last_bars(
        [Bar("ok", 1.0, "a"), Bar("ok", 1.0, "b"), Bar("ok", 1.5, "c"), Bar("ok", 900.0, "d"), Bar("ok", 1.25, "e")]
    )
    heights = [float(height) for height in re.findall(r'class="b-ok"[^>]* height="([\d.]+)"', drawn)]
    assert heights[0] == heights[1] < heights[4] < heights[2] < heights[3]
    assert max(heights) <= 18


@pytest.mark.parametrize(
    ("outcome", "mark"),
    [
        ("ok", "b-ok"),
        ("failed", "b-cross"),
        ("skipped", "b-skipped"),
        ("missed", "b-missed"),
        ("refused", "b-refused"),
        ("running", "b-running"),
        ("queued", "b-queued"),
        ("canceled", "b-canceled"),
    ],
)
def test_every_outcome_has_its_own_shape_and_class(outcome, mark):
    drawn = last_bars([Bar(outcome, None, "x")])
    assert f'class="{mark}"' in drawn
    assert f".{mark}" in (ROOT / "static/app.css").read_text()


def test_words_of_a_bar_cannot_become_markup():
    assert "<img" not in last_bars([Bar("ok", 1.0, '"><img src=x>')])


def test_a_span_stays_inside_its_axis():
    x, width = re.search(r'class="span ok" x="([\d.]+)" y="0" width="([\d.]+)"', span_bar(1.2, 0.5, "ok")).groups()
    assert float(x) + float(width) <= 100
    assert float(width) > 0


def test_a_static_address_changes_with_the_content_and_a_vendored_one_does_not(app):
    with app.test_request_context():
        digest = hashlib.sha256((ROOT / "static/app.css").read_bytes()).hexdigest()
        assert filters.static_url("app.css") == f"/static/app.css?v={digest[:10]}"
        assert filters.static_url("vendor/htmx-2.0.11.min.js") == "/static/vendor/htmx-2.0.11.min.js"


def test_vendored_files_are_the_ones_that_were_recorded():
    listed = re.findall(
        r"^\| `([^`]+)` .*`([0-9a-f]{64})`", (ROOT / "static/vendor/LICENSES.md").read_text(), re.MULTILINE
    )
    present = {path.name for path in (ROOT / "static/vendor").iterdir()} - {"LICENSES.md"}
    assert present == {name for name, _ in listed if "/" not in name}
    for name, digest in listed:
        assert hashlib.sha256((ROOT / "static/vendor" / name).read_bytes()).hexdigest() == digest


def test_the_style_sheet_is_small_and_loads_nothing_from_elsewhere():
    css = (ROOT / "static/app.css").read_text()
    assert len(css.encode()) <= 40 * 1024
    for sheet in (ROOT / "static").rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", sheet.read_text()), sheet


def test_the_frame_names_the_tenant_its_zone_and_the_current_page(app):
    page = page_of(app, "errors/404.html", path="/runs/7")
    assert "Acme &lt;b&gt; · Europe/Paris" in page
    links = Elements(page)
    assert {attrs["href"] for attrs in links.named("a", **{"aria-current": "true"})} == {"/runs"}
    assert {"/schedules", "/workflows", "/runs", "/settings", "/system"} <= {
        a["href"] for a in links.named("a") if "href" in a
    }
    assert links.named("meta", name="csrf-token", content="token-1")
    assert links.named("form", action="/sign-out", method="post")


def test_without_a_signed_in_user_there_is_no_navigation(app):
    page = page_of(app, "accounts/sign_in.html", path="/sign-in", form=SignIn())
    assert not Elements(page).named("nav")
    assert "Acme" not in page


@pytest.mark.parametrize("code", [400, 403, 404, 409, 429, 500, 503])
def test_an_error_page_says_what_happened_and_what_to_do(app, code):
    page = page_of(app, f"errors/{code}.html", request_id="r-123")
    assert "r-123" in page
    happened, to_do = re.findall(r"<p>([^<]+)</p>", page.split("<main", 1)[1].split("</main>", 1)[0])
    assert happened.endswith(".")
    assert to_do.endswith(".")
    assert happened != to_do


@pytest.mark.parametrize("code", [429, 500, 503])
def test_pages_for_a_broken_server_do_not_look_up_who_is_signed_in(app, code):
    assert "Acme" not in page_of(app, f"errors/{code}.html")


def test_sign_in_shows_errors_at_their_fields(app):
    form = SignIn(email="", password="")
    form.validate()
    page = Elements(page_of(app, "accounts/sign_in.html", path="/sign-in", form=form))
    assert page.named("input", name="email", **{"aria-invalid": "true", "aria-describedby": "email-error"})
    assert page.named("div", id="email-error")
    assert page.named("input", name="csrf_token", value="token-1")


def test_the_error_summary_links_to_the_fields(render):
    form = Choices(name="")
    form.validate()
    page = render(
        '{% import "_macros/forms.html" as forms %}{{ forms.error_summary(form, [("payload", "/region: is required")]) }}',
        form=form,
    )
    assert 'href="#name"' in page
    assert 'href="#payload"' in page
    assert "Give it a name." in page


def test_a_form_without_errors_has_no_summary(render):
    assert not render(
        '{% import "_macros/forms.html" as forms %}{{ forms.error_summary(form) }}', form=Choices()
    ).strip()


def test_radio_cards_mark_the_default_and_the_choice(render):
    source = (
        '{% import "_macros/forms.html" as forms %}{{ forms.radio_cards(form.overlap, {"queue": "Waits."}, "queue") }}'
    )
    page = render(source, form=Choices())
    assert page.count(">default<") == 1
    assert [a["value"] for a in Elements(page).named("input") if "checked" in a] == ["queue"]


def test_a_time_carries_its_instant_and_its_words(render):
    source = '{% import "_macros/ui.html" as ui %}{{ ui.time(at, "Europe/Paris") }}|{{ ui.time(none) }}'
    page = render(source, at=NOW + timedelta(hours=3))
    assert 'datetime="2026-11-21T15:00:00Z"' in page
    assert ">in 3 h</time>" in page
    assert 'title="Sat 16:00 UTC+1"' in page
    assert page.endswith("|–")


def test_an_action_is_a_form_that_works_without_scripts(render):
    source = '{% import "_macros/actions.html" as a %}{{ a.action_form("t", "/x/pause", "Pause", fields={"revision": 4}, confirm="Pause it?") }}'
    page = Elements(render(source))
    assert page.named("form", method="post", action="/x/pause", **{"hx-post": "/x/pause", "data-confirm": "Pause it?"})
    assert page.named("input", name="csrf_token", value="t")
    assert page.named("input", name="revision", value="4")


def test_json_is_shown_as_text(render):
    page = render('{% import "_macros/lists.html" as l %}{{ l.code_block({"a": "</pre><script>"}, "Input", "in") }}')
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_flashed_messages_become_notices_and_errors_are_alerts(app):
    with app.test_request_context("/"):
        flash("Saved")
        flash({"message": "It runs now", "href": "/runs/1", "label": "Open run"}, "ok")
        flash("Not saved", "error")
        page = Elements(render_template("errors/404.html"))
    assert len(page.named("div", **{"data-kind": "ok"})) == 2
    assert page.named("a", href="/runs/1")
    assert page.named("div", role="alert", **{"data-kind": "error"})


def test_no_rendered_page_needs_what_the_policy_forbids(app):
    form = SignIn(email="")
    form.validate()
    pages = [page_of(app, f"errors/{code}.html") for code in (404, 500)] + [
        page_of(app, "accounts/sign_in.html", form=form)
    ]
    for page in pages:
        for tag, attrs in Elements(page).found:
            assert tag != "style"
            assert tag != "script" or attrs.get("src", "").startswith("/static/")
            assert not [name for name in attrs if name == "style" or name.startswith(("on", "hx-on"))], (tag, attrs)
        assert re.findall(r"<script[^>]*>([^<]*)</script>", page) == [""] * page.count("<script")


def test_templates_quote_attributes_and_never_trust_markup():
    for path in (ROOT / "templates").rglob("*.html"):
        source = path.read_text()
        assert not re.search(r"\|\s*safe\b|autoescape\s+false|Markup\(", source), path
        assert not re.search(r"\s[\w-]+=\{\{", source), f"unquoted attribute in {path}"
        assert not re.search(r"<[a-z][^>]*\s(?:style|on[a-z]+|hx-on[\w:-]*)=", source), path


def test_html_configures_htmx_for_the_policy(app):
    config = Elements(page_of(app, "errors/404.html")).named("meta", name="htmx-config")[0]["content"]
    settings = app.json.loads(config)
    assert settings["includeIndicatorStyles"] is settings["allowEval"] is settings["allowScriptTags"] is False
    assert settings["selfRequestsOnly"] is True
    assert settings["historyCacheSize"] == 0
    # A choice or a key between a swap and its settling would be lost.
    assert settings["defaultSettleDelay"] == 0
    assert {"code": "422", "swap": True} in settings["responseHandling"]
    assert {"code": "409", "swap": True} in settings["responseHandling"]
