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

# A master that starts one worker, which says its process id and when it is told to stop; then it waits to be killed.
MASTER = """
import multiprocessing, os, signal, sys, time
from workers.worker import end_with_master

def work(is_tied):
    signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"told\\n"), os._exit(0)))
    if is_tied:
        end_with_master()
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    multiprocessing.Process(target=work, args=(sys.argv[2] == "tied",)).start()
    time.sleep(60)
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("is_tied", [True, False], ids=["guarded", "unguarded"])
def test_a_worker_is_told_to_stop_when_its_master_is_killed(tmp_path: Path, method: str, is_tied: bool) -> None:
    script = tmp_path / "master.py"
    script.write_text(MASTER)
    command = [sys.executable, str(script), method, "tied" if is_tied else "loose"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as master:
        assert master.stdout is not None
        worker = int(master.stdout.readline())
        try:
            master.kill()
            master.wait(30)
            if is_tied:
                assert "told\n" in master.stdout.read()
            else:
                time.sleep(1)
                os.kill(worker, 0)
        finally:
            if not is_tied:
                os.kill(worker, signal.SIGKILL)
