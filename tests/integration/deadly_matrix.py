"""A job's process that mines a matrix, but is killed by the pair from English, once the others are reported."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import bitextmine.matrix.run
from bitextmine.matrix.bench import Bench
from bitextmine.matrix.tasks import mine_pair
from bitextmine.progress import Progress
from bitextmine_indexer.child import main
from tests.integration.waiting import wait_until

OTHERS = 2


def deadly(bench: Bench, src: str, *arguments: Any, progress: Progress) -> dict[str, Any]:
    if bench.corpus(bench.workspace.artifacts, src).lang == "eng_Latn":
        report = Path(bench.log).parent / "report.json"
        wait_until(lambda: json.loads(report.read_bytes())["counts"]["done"] == OTHERS, "the others are reported")
        os.kill(os.getpid(), signal.SIGKILL)
    return mine_pair(bench, src, *arguments, progress=progress)


if __name__ == "__main__":
    bitextmine.matrix.run.mine_pair = deadly
    sys.exit(main())
