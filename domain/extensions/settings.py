"""What this process knows of the runner, and the limits of what tenants may ask of it; set once at its start."""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.kernel.config import Config


@dataclass(frozen=True)
class Runner:
    """Where extensions run. `token` proves that it is us who asks, `key` closes the envelope that carries secrets.

    `timeout_seconds` is the deadline of a whole call, `response_max_bytes` the most that is read of an answer.
    """

    url: str
    token: str = field(repr=False)
    key: str = field(repr=False)
    timeout_seconds: float
    memory_mb: int
    response_max_bytes: int


@dataclass(frozen=True)
class Limits:
    """Of schedules of endpoints, and of how many calls go at a time. `run_now_per_minute` counts per tenant."""

    schedules_per_install: int
    schedules_per_tenant: int
    min_interval_seconds: int
    run_now_per_minute: int
    payload_max_bytes: int
    calls_per_install: int
    calls_per_tenant: int


class NotConfigured(RuntimeError):
    """This process was started without `configure_extensions`."""


@dataclass(frozen=True)
class _Settings:
    runner: Runner | None
    limits: Limits


_settings: _Settings | None = None


def configure_extensions(config: Config) -> None:
    """Give this process its settings; without an address there is no runner, and nothing of an extension can fire."""
    global _settings
    runner = Runner(
        config.runner_url,
        config.runner_token,
        config.runner_key,
        config.runner_timeout_seconds,
        config.runner_memory_mb,
        config.runner_response_bytes,
    )
    limits = Limits(
        config.endpoint_schedules_per_install,
        config.endpoint_schedules_per_tenant,
        config.endpoint_min_interval_seconds,
        config.endpoint_run_now_per_minute,
        config.endpoint_payload_bytes,
        config.calls_per_install,
        config.calls_per_tenant,
    )
    _settings = _Settings(runner if runner.url else None, limits)


def configured_runner() -> Runner | None:
    """The runner of this installation; None when nobody has set one. Raises NotConfigured."""
    return _known().runner


def limits() -> Limits:
    """The limits of this installation. Raises NotConfigured."""
    return _known().limits


def _known() -> _Settings:
    if _settings is None:
        raise NotConfigured(NotConfigured.__doc__)
    return _settings
