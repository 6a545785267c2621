"""How torch's threads wait, decided before torch is imported."""

from __future__ import annotations

import os


def let_threads_sleep() -> None:
    """Make idle compute threads give their core away; the user's own setting wins.

    By default they spin at every barrier. When anything else wants a core, and here the dashboard
    and the browser do, a spinning thread then holds up the one that it waits for.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
