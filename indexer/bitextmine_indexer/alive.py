"""`python -m bitextmine_indexer.alive`: whether the worker in this container is well, for health checks.

Exit status 0 while Redis has heard of a worker of this host within its heartbeat, and also while Redis does not answer:
a job goes on without it, and killing the worker would help nobody. 1 when Redis answers and the worker is silent.
"""

from __future__ import annotations

import os
import socket
import sys

from bitextmine.errors import BitextmineError, StoreUnavailableError
from bitextmine.jobs.leases import Leases
from bitextmine.jobs.queue import connect

_PATIENCE_SECONDS = 3.0


def main() -> int:
    """One line on stdout, and the exit status; 2 when REDIS_URL cannot be used."""
    host = socket.gethostname()
    try:
        with connect(os.environ.get("REDIS_URL", ""), _PATIENCE_SECONDS) as client:
            workers = Leases(client).workers()
    except StoreUnavailableError as error:
        return _say(f"cannot tell: {error}", 0)
    except BitextmineError as error:
        return _say(str(error), 2)
    heard = [name for name in workers if name.rsplit(":", 2)[0] == host]
    return _say(f"heard of {heard[0]}", 0) if heard else _say(f"no worker of {host} has been heard of lately", 1)


def _say(line: str, status: int) -> int:
    sys.stdout.write(f"{line}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
