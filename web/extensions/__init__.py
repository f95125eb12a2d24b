"""The pages of extensions, under Settings."""

from web.extensions import (
    card,
    configuring,
    deleting,
    installing,
    listing,
    publishing,
    removing,
    secrets,
    show,
    switching,
    upgrading,
)
from web.extensions.frame import blueprint

__all__ = [
    "blueprint",
    "card",
    "configuring",
    "deleting",
    "installing",
    "listing",
    "publishing",
    "removing",
    "secrets",
    "show",
    "switching",
    "upgrading",
]
