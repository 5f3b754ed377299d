"""A job that does what its spec says and waits for files to appear; run as a program it is a job's process.

starts      file to which the process appends its id when it starts
until       file whose appearance ends the job
print       text for standard output, where it must do no harm
error       code of an InputError to raise
memory      whether to run out of memory
bug         text of a ValueError to raise
publish     number of starts that publish an artifact of their own, before they end or wait
die         number of starts that end with SIGKILL
helper      whether to start a process of its own; its id goes to the file <starts>.helper
deaf        whether to ignore SIGTERM
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bitextmine.artifacts import ArtifactKey, ArtifactStore
from bitextmine.errors import InputError
from bitextmine.jobs.record import JobKind
from bitextmine.resources import Resources
from bitextmine.workspace import Workspace
from bitextmine_indexer.child import Reporter, main


def run(
    kind: JobKind, spec: dict[str, Any], workspace: Workspace, resources: Resources, progress: Reporter
) -> dict[str, Any]:
    starts = Path(spec["starts"])
    with starts.open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    if spec.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if spec.get("helper"):
        helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(f"{starts}.helper").write_text(str(helper.pid))
    if "print" in spec:
        print(spec["print"])
    for step in range(3):
        progress("prepare", step + 1, 3)
    start = len(starts.read_text().split())
    if start <= spec.get("publish", 0):
        store = ArtifactStore(workspace.artifacts.root, lambda key: progress.published())
        with store.publish(ArtifactKey("nap", {"n": start}, {})):
            pass
    if start <= spec.get("die", 0):
        os.kill(os.getpid(), signal.SIGKILL)
    _raise_what_is_asked_for(spec)
    done = 0
    while "until" in spec and not Path(spec["until"]).exists():
        done += 10
        progress("wait", done, 1_000_000)
        time.sleep(0.02)
    return {"kind": kind.value, "root": str(workspace.root), "threads": resources.threads, "done": done}


def _raise_what_is_asked_for(spec: dict[str, Any]) -> None:
    if "error" in spec:
        raise InputError("line 3:\nno good", code=spec["error"])
    if spec.get("memory"):
        raise MemoryError("8 EiB")
    if "bug" in spec:
        raise ValueError(spec["bug"])


if __name__ == "__main__":
    sys.exit(main(run=run))
