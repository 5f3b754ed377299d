"""`python -m bitextmine_service.openapi FILE`: write the API's description as YAML."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from bitextmine_service.app import create_app
from bitextmine_service.settings import ServiceSettings


def openapi_yaml() -> str:
    """The description of the application with default settings; needs no Redis."""
    app = create_app(ServiceSettings(redis_url="redis://127.0.0.1:6379"))
    return yaml.safe_dump(app.openapi(), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(openapi_yaml(), encoding="utf-8")
