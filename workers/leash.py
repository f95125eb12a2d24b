"""A leash: what is started on one ends when its starter ends, however that one ends.

Run as `python -I -S leash.py SIGNAL STARTER_PID USER COMMAND…`, where USER is `uid:gid` or `-`: gives up its rights, ties
itself to its starter and becomes the command. A program of its own because the kernel forgets the tie when the user
changes, and because `preexec_fn` is unsafe in a process with threads. Only Linux can do it: elsewhere it only becomes
the command, and the next start ends what was left over.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def tie_to_starter(signal_number: int, starter_pid: int) -> None:
    """Have the kernel send this process `signal_number` when the thread that started it ends.

    Raises ProcessLookupError when the starter is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != starter_pid:
        raise ProcessLookupError(f"process {starter_pid}, which started this one, has ended")


def become(signal_number: int, starter_pid: int, user: str, command: list[str]) -> None:
    """Replace this process by `command`, run by `user` and tied to its starter."""
    if user != "-":
        uid, gid = map(int, user.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    tie_to_starter(signal_number, starter_pid)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
