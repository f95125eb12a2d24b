"""Publishing a version and installing it at once: both happen, or neither."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from domain.extensions.extensions import ExtensionVersion
from domain.kernel import strict_json
from domain.kernel.db import transaction
from domain.kernel.errors import Held
from domain.upgrades import RemapFailed, publish_and_upgrade, upgrade_install
from tests.domain.upgrades.scene import HEALTH, SYNC, called_by, calling, stored
from tests.factories import NOW, a_manifest, an_extension_version


def manifest(number: str, endpoints: list[str], **values: Any) -> str:
    return strict_json.dumps(a_manifest(number, endpoints, **values))


def test_the_install_and_its_schedules_move_to_what_is_published(alice: Any, install: Any) -> None:
    sync = calling(install)

    delivered = publish_and_upgrade(alice, manifest("1.1.0", [SYNC]), NOW)

    assert delivered.upgraded is not None
    assert (delivered.upgraded.to_version, install.version_id) == ("1.1.0", delivered.version.id)
    assert called_by(sync) == ("1.1.0", SYNC)


@pytest.mark.parametrize("refusal", [RemapFailed, Held])
def test_what_cannot_be_installed_is_not_published_either(
    alice: Any, install: Any, db: Any, refusal: type[Exception]
) -> None:
    calling(install)
    db.commit()
    asked = {"capabilities": ["cap:http.fetch"]} if refusal is Held else {}
    endpoints = [SYNC] if refusal is Held else [HEALTH]

    with pytest.raises(refusal), transaction():
        publish_and_upgrade(alice, manifest("1.1.0", endpoints, **asked), NOW)

    assert db.scalars(select(ExtensionVersion.version)).all() == ["1.0.0"]


def test_the_answers_to_what_an_upgrade_asks_can_be_given_with_it(alice: Any, install: Any) -> None:
    sync = calling(install)
    text = manifest("1.1.0", [HEALTH], capabilities=["cap:http.fetch"])

    publish_and_upgrade(alice, text, NOW, disable_missing=True, grant=["cap:http.fetch"])

    assert (stored(sync).status, install.capabilities) == ("paused", ["cap:http.fetch"])


def test_an_install_at_a_later_version_stays_there(alice: Any, install: Any, extension: Any) -> None:
    second = an_extension_version(extension, "2.0.0", [SYNC])
    upgrade_install(alice, install.id, second.id, NOW)

    assert publish_and_upgrade(alice, manifest("1.10.0", [HEALTH]), NOW).upgraded is None
    assert install.version_id == second.id


def test_without_an_install_it_is_only_published(alice: Any) -> None:
    delivered = publish_and_upgrade(alice, manifest("1.0.0", [SYNC]), NOW)

    assert (delivered.version.version, delivered.upgraded) == ("1.0.0", None)


def test_the_same_version_again_changes_nothing(alice: Any, install: Any) -> None:
    text = manifest("1.1.0", [SYNC])
    publish_and_upgrade(alice, text, NOW)

    again = publish_and_upgrade(alice, text, NOW)

    assert again.upgraded is not None
    assert not again.upgraded.is_changed
