"""Runs Python so that permissions bind it, root too: of its privileges the one to pass over them is given up for good.

The words are Python's own.
"""

from __future__ import annotations

import ctypes
import os
import sys

DROP_FROM_BOUNDING_SET = 24  # prctl(2), PR_CAPBSET_DROP: what is dropped is gone with the next program
PASS_OVER_PERMISSIONS = 1  # capabilities(7), CAP_DAC_OVERRIDE

if __name__ == "__main__":
    if os.geteuid() == 0:
        system = ctypes.CDLL(None, use_errno=True)
        if system.prctl(DROP_FROM_BOUNDING_SET, PASS_OVER_PERMISSIONS, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "the privilege cannot be given up")
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
