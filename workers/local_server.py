"""One embedded server: a child of this process on unix sockets, in development and tests.

It belongs to whoever holds the lock beside its directory, lives in a session of its own, and ends with the process *and
thread* that started it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import IO, Self

from workers import leash
from workers.local_places import ServerFailed, User, make_socket_directory

START_SECONDS = 60
STOP_SECONDS = 15
NO_SUCH_PID = 2**31 - 2
"""Above the highest process id of any kernel, so certainly nobody's."""


class AlreadyRunning(ServerFailed):
    """Another live process runs a server on this directory. Stop that one first, or set CARILLON_DATA_DIR to another directory."""


class NotOurServer(RuntimeError):
    """The server that answers is not the one that was started here. Nothing was changed."""


class LocalServer(ABC):
    """What both servers share. `url` stays the same over `stop`, `kill` and `start`; `close` ends the object's life."""

    name: str
    stop_signals: tuple[int, ...]
    end_signal: int
    """What the server gets when its starter ends without stopping it."""

    def __init__(self, directory: Path, user: User) -> None:
        self.directory = directory
        self.user = user
        self.process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        if self.process is None:
            raise ServerFailed(f"{self.name} is not running.")
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        """How the server ended without being asked to, negative for a signal; None while it runs or is stopped."""
        return None if self.process is None else self.process.poll()

    @cached_property
    def socket_directory(self) -> Path:
        return make_socket_directory(self.user)

    @property
    def log(self) -> Path:
        return self.directory.parent / f"{self.directory.name}.log"

    @property
    @abstractmethod
    def url(self) -> str: ...

    @property
    @abstractmethod
    def pid_file(self) -> Path:
        """Written by the server itself; its first line is the server's process id."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the directory ready for `command`."""

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def is_ready(self) -> bool: ...

    @abstractmethod
    def prove(self) -> None:
        """Raise NotOurServer unless the server behind `url` is the process started here. Ask before destroying anything."""

    def start(self) -> Self:
        """Start the server and return when it answers. Raises AlreadyRunning, or ServerFailed with what its log says."""
        if self.process is not None and self.exit_code is None:
            raise ServerFailed(f"{self.name} is running already.")
        self._take_lock()
        try:
            self._check_owner()
            _end_leftover(self.pid_file, self.directory, self.stop_signals)
            self.prepare()
            if self.log.exists():
                self.log.replace(self.log.with_suffix(".log.old"))
            deadline = time.monotonic() + START_SECONDS
            while not self._is_started(deadline):
                time.sleep(0.2)
            self.prove()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop in order, more firmly each time it does not end. Does nothing when it is not running."""
        if self.process is not None:
            for number in (*self.stop_signals, signal.SIGKILL):
                self.process.send_signal(number)
                try:
                    self.process.wait(STOP_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    continue
        self.process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def kill(self) -> None:
        """End the server as a crash would, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(STOP_SECONDS)
            self.process = None

    def close(self) -> None:
        """Stop, and remove the sockets. The directory stays."""
        self.stop()
        if "socket_directory" in vars(self):
            shutil.rmtree(self.socket_directory, ignore_errors=True)
            del self.socket_directory

    def run(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start `command` as the server's user, on a leash, in a session of its own so that Ctrl-C does not reach it."""
        leashed = [sys.executable, "-I", "-S", leash.__file__, str(self.end_signal), str(os.getpid()), str(self.user)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return subprocess.Popen(
            [*leashed, *command],
            cwd="/",
            env=environment | {"LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    @property
    def _lock_path(self) -> Path:
        return self.directory.parent / f"{self.directory.name}.lock"

    def join(self) -> Self:
        """Have the `url` of the server that another live process runs on this directory."""
        self.socket_directory = Path(self._lock_path.read_text().partition("\n")[2])
        return self

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        path = self._lock_path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("a+")
        except PermissionError as error:
            raise ServerFailed(
                f"{path} cannot be written. Set CARILLON_DATA_DIR to a directory of your own."
            ) from error
        lock.seek(0)
        holder, _, left_sockets = lock.read().partition("\n")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise AlreadyRunning(
                f"{self.name} on {self.directory} is already run by process {holder or 'another'}. "
                "Stop that one first, or set CARILLON_DATA_DIR to another directory."
            ) from None
        if Path(left_sockets).name.startswith("carillon-") and left_sockets != str(self.socket_directory):
            shutil.rmtree(left_sockets, ignore_errors=True)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n{self.socket_directory}")
        lock.flush()
        self._lock = lock

    def _check_owner(self) -> None:
        if not self.directory.exists() or self.user.owns(self.directory):
            return
        if self.user.uid is None or any(self.directory.iterdir()):
            raise ServerFailed(f"{self.directory} is another user's. Start as that user, or set CARILLON_DATA_DIR.")

    def _is_started(self, deadline: float) -> bool:
        """Whether an attempt brought the server up; false when it may be tried again."""
        with self.log.open("wb") as log:
            self.process = self.run(self.command(), log)
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self.process = None
                said = self.log.read_text(errors="replace")
                if "still in use" in said:
                    return False
                raise ServerFailed(f"{self.name} did not start. {self.log} says:\n{said[-2000:].strip()}")
            if self.is_ready():
                return True
            time.sleep(0.02)
        raise ServerFailed(f"{self.name} did not answer within {START_SECONDS} s. See {self.log}.")


def _end_leftover(pid_file: Path, directory: Path, stop_signals: tuple[int, ...]) -> None:
    """End the server that a vanished launcher left on `directory`, and make its pid file nobody's.

    PostgreSQL believes a zombie or a stranger with the recorded process id to be itself. The file's other lines must
    stay: they name the shared memory by which PostgreSQL notices survivors of a crash.
    """
    try:
        first, separator, rest = pid_file.read_text().partition("\n")
        pid = int(first)
    except (FileNotFoundError, ValueError):
        return
    for number in (*stop_signals, signal.SIGKILL):
        if not _is_server_of(pid, directory):
            break
        os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while _is_server_of(pid, directory) and time.monotonic() < deadline:
            time.sleep(0.02)
    if pid_file.exists():
        pid_file.write_text(f"{NO_SUCH_PID}{separator}{rest}")


def _is_server_of(pid: int, directory: Path) -> bool:
    """Whether process `pid` lives and was started on `directory`. A zombie has no command line."""
    if Path("/proc/self/cmdline").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return os.fsencode(directory) in command.split(b"\0")
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return f" {directory} " in f"{listed.stdout.strip()} "
