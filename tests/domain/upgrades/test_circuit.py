"""An install that somebody has seen to is called again at once: its circuit is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.extensions.circuits import FAILURES_LIMIT, Passage, note_failure, pass_circuit
from domain.upgrades import disable_install, enable_install, upgrade_install
from tests.domain.upgrades.scene import SYNC
from tests.factories import NOW, an_extension_version


def enabled_again(alice: Any, install: Any, _extension: Any) -> None:
    disable_install(alice, install.id, "it fails", NOW)
    assert pass_circuit(install.id, NOW, 60).closed_until
    enable_install(alice, install.id, NOW)


def upgraded(alice: Any, install: Any, extension: Any) -> None:
    upgrade_install(alice, install.id, an_extension_version(extension, "2.0.0", [SYNC]).id, NOW)


@pytest.mark.parametrize("see_to", [enabled_again, upgraded])
def test_it_is_closed_by_who_enables_or_upgrades(
    see_to: Callable[..., None], alice: Any, install: Any, extension: Any
) -> None:
    for _ in range(FAILURES_LIMIT):
        note_failure(install.tenant_id, install.id, Passage(), "nobody is there", NOW)
    assert pass_circuit(install.id, NOW, 60).closed_until

    see_to(alice, install, extension)

    assert pass_circuit(install.id, NOW, 60) == Passage()
