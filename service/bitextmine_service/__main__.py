"""`python -m bitextmine_service`: the API server."""

from __future__ import annotations

import sys

import uvicorn
from pydantic import ValidationError

from bitextmine_service.app import create_app
from bitextmine_service.settings import ServiceSettings


def main() -> int:
    try:
        settings = ServiceSettings()
    except ValidationError as error:
        for problem in error.errors():
            sys.stderr.write(f"bitextmine: setting {'.'.join(map(str, problem['loc']))}: {problem['msg']}\n")
        return 2
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level.lower(),
        timeout_graceful_shutdown=10,
        server_header=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
