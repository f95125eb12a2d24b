"""What the tests of the engine may ask for besides the common fixtures."""

from __future__ import annotations

import pytest

from domain.kernel.db import db as database
from tests.servers import config_for, make_app


@pytest.fixture
def committing_app(fresh_database, redis_url):
    """An app on a database of its own, for tests that really commit."""
    app = make_app(config_for(fresh_database, redis_url))
    with app.app_context():
        yield app
        database.session.remove()
        database.engine.dispose()
