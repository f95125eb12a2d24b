"""The pages of workflows."""

from web.workflows import actions, editor, mapping, pages, publishing, running, versions
from web.workflows.frame import blueprint

__all__ = ["actions", "blueprint", "editor", "mapping", "pages", "publishing", "running", "versions"]
