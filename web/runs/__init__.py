"""The pages of runs: the list, one run with its steps, and the dialogs that end it or run it again."""

from web.runs import board, canceling, page, rerunning
from web.runs.frame import blueprint

__all__ = ["blueprint", "board", "canceling", "page", "rerunning"]
