"""`python -m bitextmine_service`: the API server."""

from __future__ import annotations

import sys

from pydantic import ValidationError

from bitextmine.errors import BitextmineError, InputError
from bitextmine.jobs.settings import problems
from bitextmine.logs import configure
from bitextmine_service.app import create_app
from bitextmine_service.protections import warn
from bitextmine_service.server import run
from bitextmine_service.settings import ServiceSettings


def main() -> int:
    """Serve until told to stop; the exit status: 2, with a line that says why, when the settings cannot be used."""
    try:
        settings = ServiceSettings()
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        app = create_app(settings)
    except ValidationError as error:
        return _fail(2, *problems(error))
    except OSError as error:
        return _fail(2, f"the data directory cannot be used: {error}")
    except BitextmineError as error:
        return _fail(2 if isinstance(error, InputError) else 1, str(error))
    configure(settings.log_level, settings.log_format)
    warn(settings)
    return run(app, settings)


def _fail(status: int, *lines: str) -> int:
    sys.stderr.writelines(f"bitextmine: {line}\n" for line in lines)
    return status


if __name__ == "__main__":
    sys.exit(main())
