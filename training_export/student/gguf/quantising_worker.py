"""The process that quantises: ``python -m training_export.student.gguf.quantising_worker SOURCE TARGET TYPE THREADS``.

Ends with 0, or with 1 and a JSON object on standard output that says why. Writes nothing but TARGET.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Final

import llama_cpp

from daemon.engine.llama import Log

# What the C++ library says of a stream that did not take all it was given (llama.cpp sets `failbit` to throw).
_STREAM_FAILED: Final = "iostream"


def main(arguments: list[str]) -> int:
    """Quantise; returns the exit code."""
    source, target, file_type, threads = arguments
    log = Log(lambda _line: None)
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = int(file_type)
    parameters.nthread = int(threads)
    refused = llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters))
    if not refused:
        return 0
    reason = log.take_errors()
    answer = {
        "reason": reason or "llama.cpp gives no reason",
        "is_write_error": _STREAM_FAILED in reason,
    }
    sys.stdout.write(json.dumps(answer))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
