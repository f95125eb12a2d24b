"""The pages of runs: the list, one run with its steps, and what one can do to it."""

from web.runs import actions, board, page
from web.runs.frame import blueprint

__all__ = ["actions", "blueprint", "board", "page"]
