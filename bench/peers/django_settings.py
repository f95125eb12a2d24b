"""As much of Django as django-celery-beat needs."""

from __future__ import annotations

import os
from urllib.parse import parse_qs, urlsplit

_parts = urlsplit(os.environ["PEER_DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _parts.path.strip("/"),
        "USER": _parts.username,
        "HOST": parse_qs(_parts.query)["host"][0],
    }
}
INSTALLED_APPS = ["django.contrib.contenttypes", "django_celery_beat"]
SECRET_KEY = "nothing is signed here"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
