"""Which Chromium drives the browser tests. `python -m tests.chromium` prints it, or fails when there is none."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium_path() -> str | None:
    """CHROMIUM_PATH, one of the system's, or playwright's own download, in this order."""
    if chosen := os.environ.get("CHROMIUM_PATH"):
        return chosen if os.access(chosen, os.X_OK) else None
    for name in NAMES:
        if found := shutil.which(name):
            return found
    return _downloaded()


def _downloaded() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


if __name__ == "__main__":
    path = chromium_path()
    print(path or "none")
    sys.exit(path is None)
