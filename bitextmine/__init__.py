"""bitextmine: mine parallel sentences from monolingual corpora."""

import os

__version__ = "0.1.0"

# ONNX Runtime tells its makers what it is used for, unless it finds this when it is imported. The texts, models and
# machines of those who run bitextmine are their own; who wants it otherwise sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
