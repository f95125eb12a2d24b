"""A proxy before PostgreSQL that can lose the answer to a COMMIT: the client cannot know whether it was carried out. Or
everything, as a network does that carries nothing any more and tells nobody."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
COMMITS = (b"COMMIT", b"commit")
CHUNK = 65_536


class CommitProxy:
    """Passes bytes between `directory` and the server's socket. `dropped`: how many answers it has lost, `words`: to what."""

    words: tuple[bytes, ...] = COMMITS

    def __init__(self, server: Path, directory: Path) -> None:
        self.server = server / SOCKET
        self.path = directory / SOCKET
        self.dropped = 0
        self._to_drop = 0
        self._is_silent = False
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)

    def start(self) -> None:
        self._listener.bind(str(self.path))
        self._listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def drop_commits(self, count: int) -> None:
        """Lose the answers to the next `count` commits, and with each its connection."""
        with self._lock:
            self._to_drop = count

    def fall_silent(self) -> None:
        """From now on nothing comes through; connections stay open, and new ones are taken."""
        self._is_silent = True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        is_doomed = threading.Event()
        try:
            server.connect(str(self.server))
        except OSError:
            client.close()
            return
        threading.Thread(target=self._answer, args=(server, client, is_doomed), daemon=True).start()
        with suppress(OSError):
            while asked := client.recv(CHUNK):
                if self._is_silent:
                    continue
                if any(word in asked for word in self.words) and self._takes_one():
                    is_doomed.set()
                server.sendall(asked)
        _close(server, client)

    def _answer(self, server: socket.socket, client: socket.socket, is_doomed: threading.Event) -> None:
        with suppress(OSError):
            while answer := server.recv(CHUNK):
                if self._is_silent:
                    continue
                if is_doomed.is_set():
                    break
                client.sendall(answer)
        _close(server, client)

    def _takes_one(self) -> bool:
        with self._lock:
            if self._to_drop == 0:
                return False
            self._to_drop -= 1
            self.dropped += 1
            return True


def _close(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
