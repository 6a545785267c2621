"""The worker process with the numpy stand-in in place of a real model."""

import os
import select
import sys
import time

from emoact.host.worker import main
from emoact.jobs.attempt import leave
from tests.support.numpy_engine import numpy_engine

WORKER = (sys.executable, "-P", "-m", "tests.support.stand_in_worker")

if __name__ == "__main__":
    if "FAKETIME_TIMESTAMP_FILE" in os.environ:
        # libfaketime 0.9.10 lets `time.sleep` fail when its clock jumps.
        setattr(time, "sleep", lambda seconds: select.select([], [], [], seconds))  # noqa: B010
    leave(main(engine_for=numpy_engine, program=WORKER[-1], summarise=False))
