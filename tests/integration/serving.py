"""`serve` as a program: python serving.py DATA_DIR PORT API_COMMAND (JSON)."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from bitextmine.supervisor.serve import serve
from bitextmine.workspace import Workspace

if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(name)s %(levelname)s %(message)s")
    root = Path(sys.argv[1])
    sys.exit(
        serve(
            workspace=Workspace(root, root / "encoders"),
            host="127.0.0.1",
            port=int(sys.argv[2]),
            api_argv=json.loads(sys.argv[3]),
        )
    )
