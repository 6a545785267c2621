"""`python -m emoact`."""

import sys

from emoact.cli import main

sys.exit(main())
