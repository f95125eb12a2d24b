"""The pages of workflows."""

from web.workflows import actions, bundles, editor, listing, mapping, publishing, running, versions
from web.workflows.frame import blueprint

__all__ = ["actions", "blueprint", "bundles", "editor", "listing", "mapping", "publishing", "running", "versions"]
