"""That something goes on: for people at a terminal, on standard error. Pipes and scripts see nothing of it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

AFTER_SECONDS, EACH_SECONDS = 1.0, 0.25
BAR_CHARACTERS, LIT_CHARACTERS = 12, 4
_CLEARED = "\r\x1b[K"
_shown = threading.Lock()


def is_watched() -> bool:
    """Whether somebody sees how far it is."""
    return sys.stderr.isatty()


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar of how much is done; what is yielded takes how many of how many are."""
    if not is_watched() or not total:
        yield lambda _done, _total: None
        return
    with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
        yield lambda done, _total: bar.update(done - bar.pos)


@contextmanager
def waiting(label: str) -> Iterator[None]:
    """A moving bar with the seconds passed, for what does not say how far it is. What is quick shows none, and of one
    inside another only the outer one is seen."""
    if not is_watched() or not _shown.acquire(blocking=False):
        yield
        return
    done = threading.Event()
    drawing = threading.Thread(target=_draw, args=(label, done), name="progress", daemon=True)
    drawing.start()
    try:
        yield
    finally:
        done.set()
        drawing.join()
        _shown.release()


def bar_at(step: int) -> str:
    """A lit part that goes from end to end and back."""
    span = BAR_CHARACTERS - LIT_CHARACTERS
    at = span - abs(step % (2 * span) - span)
    return f"[{'-' * at}{'#' * LIT_CHARACTERS}{'-' * (span - at)}]"


def _draw(label: str, done: threading.Event) -> None:
    began, step = time.monotonic(), 0
    if done.wait(AFTER_SECONDS):
        return
    while True:
        sys.stderr.write(f"{_CLEARED}{label}  {bar_at(step)}  {time.monotonic() - began:.0f} s")
        sys.stderr.flush()
        step += 1
        if done.wait(EACH_SECONDS):
            break
    sys.stderr.write(_CLEARED)
    sys.stderr.flush()
