"""Composes web and domain into the WSGI application: `create_app()` is what gunicorn serves."""

from __future__ import annotations

from flask import Flask

from domain import tables
from domain.extensions.settings import configure_extensions
from domain.kernel.config import Config
from domain.kernel.db import db, engine_options
from domain.kernel.failpoints import arm_failpoints
from domain.kernel.log import configure_logs
from domain.kernel.outbound import configure_outbound
from domain.kernel.outbox import configure_mail
from domain.kernel.vault import configure_vault
from web import (
    access,
    accounts,
    actions,
    answers,
    api,
    audit,
    errors,
    events,
    extensions,
    filters,
    kinds,
    members,
    metrics,
    notifications,
    outbox,
    runs,
    schedules,
    schemas,
    secrets,
    security,
    settings,
    system,
    tasks,
    throttle,
    tokens,
    workflows,
)
from web.application import Application
from web.logging import AccessLog

BLUEPRINTS = (
    accounts.blueprint,
    settings.blueprint,
    members.blueprint,
    tokens.blueprint,
    system.blueprint,
    audit.blueprint,
    metrics.blueprint,
    tasks.blueprint,
    notifications.blueprint,
    outbox.blueprint,
    schemas.blueprint,
    secrets.blueprint,
    workflows.blueprint,
    actions.blueprint,
    schedules.blueprint,
    runs.blueprint,
    events.blueprint,
    extensions.blueprint,
    api.blueprint,
)


def create_app(config: Config | None = None) -> Flask:
    """The application for `config`; without one, for the environment of this process, whose logs are then set up too.

    Raises BadConfig, or UnmarkedView when a view does not say who may see it.
    """
    if config is None:
        config = Config.from_env()
        configure_logs(config.log_level, config.log_format)
        arm_failpoints(config.failpoints)
    app = Application(__name__)
    app.config.from_mapping(
        SQLALCHEMY_DATABASE_URI=config.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options("web", config.web_threads),
        CARILLON=config,
        **security.settings(config),
    )
    db.init_app(app)
    configure_vault(config.secret_key, config.previous_secret_keys)
    configure_mail(config)
    configure_outbound(config)
    configure_extensions(config)
    assert tables.ALL, "importing them is what makes the models known"  # noqa: S101
    _register(app, config)
    access.check_marks(app)
    return app


def _register(app: Flask, config: Config) -> None:
    access.register(app)
    answers.register(app)
    kinds.register(app)
    security.register(app, config)
    errors.register(app)
    filters.register(app)
    metrics.register(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    throttle.register(app, config)
    app.wsgi_app = AccessLog(app.wsgi_app)  # type: ignore[method-assign]
