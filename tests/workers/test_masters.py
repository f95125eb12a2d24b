"""A worker process ends with the master that started it, however that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import ROOT

# A master of two workers, which say their process ids and when they are told to stop; then it waits to be killed.
MASTER = """
import multiprocessing, os, signal, sys, time
from workers.worker import end_with_master

def work(is_tied):
    signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"told\\n"), os._exit(0)))
    if is_tied:
        end_with_master()
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(60)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    for _ in range(2):
        multiprocessing.Process(target=work, args=(sys.argv[2] == "tied",)).start()
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("method", "is_tied"),
    [("fork", True), ("forkserver", True), ("spawn", True), pytest.param("fork", False, id="unguarded")],
)
def test_a_worker_is_told_to_stop_when_its_master_is_killed(tmp_path: Path, method: str, is_tied: bool) -> None:
    script = tmp_path / "master.py"
    script.write_text(MASTER)
    command = [sys.executable, str(script), method, "tied" if is_tied else "loose"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as master:
        assert master.stdout is not None
        workers = [int(master.stdout.readline()) for _ in range(2)]
        try:
            master.kill()
            master.wait(30)
            if is_tied:
                assert master.stdout.read().count("told\n") == 2
            else:
                time.sleep(1)
                for worker in workers:
                    os.kill(worker, 0)
        finally:
            if not is_tied:
                for worker in workers:
                    os.kill(worker, signal.SIGKILL)
