"""A connection to a checked address, of which every single wait ends with the deadline of the whole exchange."""

# The signatures are httpcore's, of which some arguments say nothing here.
# ruff: noqa: ARG002
from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

from domain.kernel.outbound.faults import Unreachable, Untrusted
from domain.kernel.outbound.resolving import Deadline, Place

CONNECT_SECONDS = 10.0  # to one of several addresses


class PinnedBackend(httpcore.NetworkBackend):
    """Connects to the places it is given, whatever name the request carries."""

    def __init__(self, places: list[Place], deadline: Deadline) -> None:
        self._places = places
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first place that takes one. Raises Unreachable or TooSlow."""
        for number, place in enumerate(self._places, 1):
            left = self._deadline.left()
            connection = socket.socket(place.family, socket.SOCK_STREAM)
            try:
                connection.settimeout(left if number == len(self._places) else min(left, CONNECT_SECONDS))
                connection.connect(place.address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return _Stream(connection, self._deadline)
            except OSError:
                connection.close()
        self._deadline.left()
        raise Unreachable(f"{host} takes no connection.")


class _Stream(httpcore.NetworkStream):
    """The timeouts that httpcore names count for one read or write each, so they are not looked at."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._socket = connection
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._socket.settimeout(self._deadline.left())
        try:
            return self._socket.recv(max_bytes)
        except TimeoutError:
            raise self._deadline.passed() from None
        except OSError as error:
            raise httpcore.ReadError(str(error)) from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = memoryview(buffer)
        while left:
            self._socket.settimeout(self._deadline.left())
            try:
                left = left[self._socket.send(left) :]
            except TimeoutError:
                raise self._deadline.passed() from None
            except OSError as error:
                # An answer may be there all the same: httpcore looks for one.
                raise httpcore.WriteError(str(error)) from None

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same connection, encrypted, to whoever proves to be `server_hostname`. Raises Untrusted."""
        self._socket.settimeout(self._deadline.left())
        try:
            return _Stream(ssl_context.wrap_socket(self._socket, server_hostname=server_hostname), self._deadline)
        except TimeoutError:
            raise self._deadline.passed() from None
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(f"The certificate of {server_hostname} is not valid: {error.verify_message}.") from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise Unreachable(f"{server_hostname} ended the connection while it was being secured.") from None
        except ssl.SSLError as error:
            raise Untrusted(f"No secure connection to {server_hostname}: {error.reason or 'TLS failed'}.") from None
        except OSError:
            raise Unreachable(f"{server_hostname} ended the connection while it was being secured.") from None
        finally:
            self._socket.close()
