"""The pages of events and of their catalogue."""

from web.events import catalog, pages, sending
from web.events.frame import blueprint

__all__ = ["blueprint", "catalog", "pages", "sending"]
