"""Whether this CPU multiplies bytes exactly."""

from __future__ import annotations

from functools import cache

import numpy as np

EXACT_PRODUCTS = "session.x64quantprecision"  # has ONNX Runtime take weights as unsigned bytes, at half the speed

_PRODUCT = """
<ir_version: 8, opset_import: ["": 17]>
trial (uint8[m, k] a, int8[k, n] b) => (int32[m, n] y) { y = MatMulInteger (a, b) }
"""


@cache
def products_saturate() -> bool:
    """Whether ONNX Runtime's products of unsigned and signed bytes are wrong here; tried out once a process.

    x86 CPUs without VNNI add two products of bytes in 16 bits (vpmaddubsw), which the largest do not fit into.
    """
    import onnx.parser
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    model = onnx.parser.parse_model(_PRODUCT).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    a, b = np.full((32, 64), 255, np.uint8), np.full((64, 64), 127, np.int8)
    (found,) = session.run(None, {"a": a, "b": b})
    return not np.array_equal(found, a.astype(np.int32) @ b.astype(np.int32))
