"""`emoact` as a process of its own, with workers that compute with the numpy stand-in."""

import sys

from emoact.cli import main
from emoact.jobs import launch
from tests.support.stand_in_worker import WORKER

COMMAND = (sys.executable, "-m", "tests.support.stand_in_cli")

if __name__ == "__main__":
    launch.WORKER = WORKER
    sys.exit(main())
