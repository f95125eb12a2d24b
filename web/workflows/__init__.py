"""The pages of workflows."""

from web.workflows import actions, editor, mapping, pages, versions
from web.workflows.frame import blueprint

__all__ = ["actions", "blueprint", "editor", "mapping", "pages", "versions"]
