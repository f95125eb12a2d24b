"""The pages of extensions, under Settings."""

from web.extensions import configuring, deleting, installing, listing, publishing, secrets, show
from web.extensions.frame import blueprint

__all__ = ["blueprint", "configuring", "deleting", "installing", "listing", "publishing", "secrets", "show"]
