"""The worker process with the numpy stand-in in place of a real model."""

from __future__ import annotations

import sys

from emoact.host.worker import main
from emoact.jobs.attempt import leave
from tests.support.numpy_engine import numpy_engine

WORKER = (sys.executable, "-P", "-m", "tests.support.stand_in_worker")

if __name__ == "__main__":
    leave(main(engine_for=numpy_engine, program=WORKER[-1], summarise=False))
