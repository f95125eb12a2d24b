"""Settings from the environment, read once. Nonsense raises; there is no default secret."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from domain.kernel.mail import parse_sender, parse_smtp_url
from domain.kernel.outbound.rules import parse_places, parse_ports

SECRET_KEY_MIN_CHARACTERS = 32
REDIS_SOCKET_TIMEOUT_SECONDS = 30
_REDIS = {"redis", "rediss", "unix"}
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


class BadConfig(ValueError):
    """The environment does not describe a working installation. The message names the variable to mend."""


@dataclass(frozen=True)
class Config:
    """Everything a process needs to know from outside."""

    database_url: str
    redis_url: str
    secret_key: str
    # Where messages travel; empty: through Redis.
    broker_url: str = ""
    # What secrets were sealed with before the secret key was replaced; they still open with these.
    previous_secret_keys: tuple[str, ...] = ()
    https: bool = True
    host_names: tuple[str, ...] = ()
    proxy_hops: int = 0
    web_threads: int = 8
    worker_threads: int = 8
    lease_seconds: int = 10
    min_interval_seconds: int = 60
    api_requests_per_minute: int = 1200
    run_deadline_seconds: int = 3600
    log_level: str = "INFO"
    log_format: str = "json"
    # It holds a password.
    smtp_url: str = field(default="", repr=False)
    mail_from: str = ""
    outbox_dir: str = ""
    http_allow: str = ""
    http_deny: str = ""
    http_ports: str = ""
    # Empty: no runner, so that nothing of an extension can be called.
    runner_url: str = ""
    runner_token: str = field(default="", repr=False)
    runner_key: str = field(default="", repr=False)
    runner_timeout_seconds: int = 30
    runner_memory_mb: int = 256
    runner_response_bytes: int = 262_144
    endpoint_schedules_per_install: int = 50
    endpoint_schedules_per_tenant: int = 500
    endpoint_min_interval_seconds: int = 300
    endpoint_run_now_per_minute: int = 5
    endpoint_payload_bytes: int = 100_000
    calls_per_install: int = 4
    calls_per_tenant: int = 16
    call_threads: int = 32
    # Who may read /metrics: who sends the token, from one of the networks. Neither: nobody.
    metrics_token: str = field(default="", repr=False)
    metrics_allow: tuple[str, ...] = ()
    failpoints: str = ""
    testing: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Config:
        """Read `environ` (default: the process's). Raises BadConfig naming the variable that is missing or wrong."""
        env = os.environ if environ is None else environ
        secret_key = _required(env, "CARILLON_SECRET_KEY")
        if len(secret_key) < SECRET_KEY_MIN_CHARACTERS:
            raise BadConfig(f"CARILLON_SECRET_KEY must have at least {SECRET_KEY_MIN_CHARACTERS} characters.")
        testing = _flag(env, "CARILLON_TESTING", False)
        failpoints = env.get("CARILLON_FAILPOINTS", "")
        if failpoints and not testing:
            raise BadConfig("CARILLON_FAILPOINTS is for tests only: unset it, or set CARILLON_TESTING=1.")
        return cls(
            database_url=normalized_database_url(_required(env, "DATABASE_URL")),
            redis_url=_redis_url(_required(env, "REDIS_URL")),
            secret_key=secret_key,
            broker_url=_broker_url(env.get("BROKER_URL", "").strip()),
            previous_secret_keys=_previous_keys(env),
            https=_flag(env, "CARILLON_HTTPS", True),
            host_names=tuple(name for name in env.get("CARILLON_HOST_NAMES", "").replace(",", " ").split() if name),
            proxy_hops=_number(env, "CARILLON_PROXY_HOPS", 0, 0, 10),
            web_threads=_number(env, "WEB_THREADS", 8, 1, 64),
            worker_threads=_number(env, "WORKER_THREADS", 8, 1, 64),
            lease_seconds=_number(env, "CARILLON_LEASE_SECONDS", 10, 2, 300),
            min_interval_seconds=_number(env, "CARILLON_MIN_INTERVAL_SECONDS", 60, 60, 86400),
            api_requests_per_minute=_number(env, "CARILLON_API_REQUESTS_PER_MINUTE", 1200, 1, 1_000_000),
            run_deadline_seconds=_number(env, "CARILLON_RUN_DEADLINE_SECONDS", 3600, 1, 30 * 86400),
            log_level=env.get("CARILLON_LOG_LEVEL", "INFO").upper(),
            log_format=_choice(env, "CARILLON_LOG_FORMAT", "json", ("json", "console")),
            smtp_url=_checked(env, "CARILLON_SMTP_URL", parse_smtp_url),
            mail_from=_mail_from(env),
            outbox_dir=env.get("CARILLON_OUTBOX_DIR", "").strip(),
            http_allow=_checked(env, "CARILLON_HTTP_ALLOW", parse_places),
            http_deny=_checked(env, "CARILLON_HTTP_DENY", parse_places),
            http_ports=_checked(env, "CARILLON_HTTP_PORTS", parse_ports),
            **_runner(env),
            **_endpoint_limits(env),
            metrics_token=_shared_secret(env, "CARILLON_METRICS_TOKEN") if env.get("CARILLON_METRICS_TOKEN") else "",
            metrics_allow=_networks(env, "CARILLON_METRICS_ALLOW"),
            failpoints=failpoints,
            testing=testing,
        )


def _runner(env: Mapping[str, str]) -> dict[str, Any]:
    url = env.get("CARILLON_RUNNER_URL", "").strip().rstrip("/")
    if not url:
        return {}
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise BadConfig("CARILLON_RUNNER_URL must be an http:// or https:// address without a password and a query.")
    token, key = _shared_secret(env, "CARILLON_RUNNER_TOKEN"), _shared_secret(env, "CARILLON_RUNNER_KEY")
    # The token travels with every call, and what the runner knows must not open what is sealed here.
    if len({token, key, _required(env, "CARILLON_SECRET_KEY")}) < 3:
        raise BadConfig(
            "CARILLON_RUNNER_TOKEN, CARILLON_RUNNER_KEY and CARILLON_SECRET_KEY must differ from each other."
        )
    return {
        "runner_url": url,
        "runner_token": token,
        "runner_key": key,
        "runner_timeout_seconds": _number(env, "CARILLON_RUNNER_TIMEOUT_SECONDS", 30, 1, 900),
        "runner_memory_mb": _number(env, "CARILLON_RUNNER_MEMORY_MB", 256, 16, 16_384),
        "runner_response_bytes": _number(env, "CARILLON_RUNNER_RESPONSE_BYTES", 262_144, 1_024, 8_388_608),
    }


def _shared_secret(env: Mapping[str, str], name: str) -> str:
    """What this installation and another program both know."""
    value = _required(env, name)
    if len(value) < SECRET_KEY_MIN_CHARACTERS or not value.isascii() or not value.isprintable() or " " in value:
        raise BadConfig(f"{name} must have at least {SECRET_KEY_MIN_CHARACTERS} printable ASCII characters, no spaces.")
    return value


def _endpoint_limits(env: Mapping[str, str]) -> dict[str, Any]:
    def number(name: str, default: int, least: int, most: int) -> int:
        return _number(env, f"CARILLON_{name}", default, least, most)

    return {
        "endpoint_schedules_per_install": number("ENDPOINT_SCHEDULES_PER_INSTALL", 50, 1, 100_000),
        "endpoint_schedules_per_tenant": number("ENDPOINT_SCHEDULES_PER_TENANT", 500, 1, 1_000_000),
        "endpoint_min_interval_seconds": number("ENDPOINT_MIN_INTERVAL_SECONDS", 300, 60, 86_400),
        "endpoint_run_now_per_minute": number("ENDPOINT_RUN_NOW_PER_MINUTE", 5, 1, 100_000),
        "endpoint_payload_bytes": number("ENDPOINT_PAYLOAD_BYTES", 100_000, 1_000, 256_000),
        "calls_per_install": number("CALLS_PER_INSTALL", 4, 1, 1_000),
        "calls_per_tenant": number("CALLS_PER_TENANT", 16, 1, 10_000),
        "call_threads": number("CALL_THREADS", 32, 1, 512),
    }


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise BadConfig(f"{name} is not set. script/server sets it locally; a deployment sets it in its environment.")
    return value


def _previous_keys(env: Mapping[str, str]) -> tuple[str, ...]:
    parts = env.get("CARILLON_PREVIOUS_SECRET_KEYS", "").split(",")
    keys = tuple(key.strip() for key in parts if key.strip())
    if any(len(key) < SECRET_KEY_MIN_CHARACTERS for key in keys):
        raise BadConfig(
            "CARILLON_PREVIOUS_SECRET_KEYS holds earlier values of CARILLON_SECRET_KEY with commas between them; "
            f"each has at least {SECRET_KEY_MIN_CHARACTERS} characters."
        )
    return keys


def _flag(env: Mapping[str, str], name: str, default: bool) -> bool:
    value = env.get(name, "").strip().lower()
    if not value:
        return default
    if value not in _TRUE | _FALSE:
        raise BadConfig(f"{name} must be 1 or 0, not {value!r}.")
    return value in _TRUE


def _number(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = env.get(name, "").strip()
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
        raise BadConfig(f"{name} must be a whole number from {least} to {most}, not {value!r}.")
    return int(value)


def _choice(env: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = env.get(name, "").strip() or default
    if value not in allowed:
        raise BadConfig(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")
    return value


def _networks(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Addresses and ranges of them, with commas or blanks between."""
    networks = tuple(env.get(name, "").replace(",", " ").split())
    for network in networks:
        try:
            ip_network(network)
        except ValueError:
            raise BadConfig(f"{name} must be addresses or ranges such as 10.0.0.0/8, not {network!r}.") from None
    return networks


def _checked(env: Mapping[str, str], name: str, parse: Callable[[str], object]) -> str:
    """The text of a variable that `parse` takes, or empty. The message never repeats it: it may hold a password."""
    value = env.get(name, "").strip()
    try:
        if value:
            parse(value)
    except ValueError as error:
        raise BadConfig(f"{name} {error}.") from None
    return value


def _mail_from(env: Mapping[str, str]) -> str:
    """Whom mail comes from; a server that sends it has to know."""
    sender = _checked(env, "CARILLON_MAIL_FROM", parse_sender)
    if env.get("CARILLON_SMTP_URL", "").strip() and not sender:
        raise BadConfig("CARILLON_MAIL_FROM is not set: mail that CARILLON_SMTP_URL sends needs a sender.")
    return sender


def normalized_database_url(url: str) -> str:
    """SQLAlchemy wants the driver named; hosts hand out `postgres://`."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise BadConfig("DATABASE_URL must begin with postgresql://.")
    return f"postgresql+psycopg://{rest}"


def _broker_url(url: str) -> str:
    """The address of a RabbitMQ, as it is; that of a Redis with its timeout."""
    if not url or urlsplit(url).scheme in {"amqp", "amqps"}:
        return url
    if urlsplit(url).scheme not in _REDIS:
        raise BadConfig("BROKER_URL must begin with amqp:// or amqps:// for RabbitMQ, or be an address of a Redis.")
    return _redis_url(url)


def _redis_url(url: str) -> str:
    """redis-py gives up on a quiet socket after 5 s unless told otherwise."""
    parts = urlsplit(url)
    if parts.scheme not in _REDIS:
        raise BadConfig("REDIS_URL must begin with redis://, rediss:// or unix://.")
    query = dict(parse_qsl(parts.query))
    query.setdefault("socket_timeout", str(REDIS_SOCKET_TIMEOUT_SECONDS))
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(query)}"
