"""The pages of workflows."""

from web.workflows import actions, pages
from web.workflows.frame import blueprint

__all__ = ["actions", "blueprint", "pages"]
