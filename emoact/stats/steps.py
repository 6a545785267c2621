"""Independent steps of work, on a few threads, with progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

OnProgress = Callable[[int, int, str], None]
"""Called with steps done, steps in all and what was just done; raises to stop the work."""


Step = tuple[str, Callable[[], None]]
"""Label of a piece of work that depends on no other, and the work."""


def run_steps(
    steps: Sequence[Step], on_progress: OnProgress | None = None, *, workers: int | None = None
) -> None:
    """Run every step; the first error stops those that have not started.

    Linear algebra is held to one thread per step: the matrices are small, and threads inside
    threads would wait for one another. It also keeps results the same on every machine.
    """
    # Not at the top: opening a page must not load them. scipy brings a BLAS of its own, which can
    # only be limited once it is loaded.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    count = workers or min(os.cpu_count() or 1, 4)
    if on_progress is not None:
        on_progress(0, len(steps), "")
    with threadpool_limits(limits=1), ThreadPoolExecutor(max_workers=count) as executor:
        running = {executor.submit(run): label for label, run in steps}
        # What a step alone holds is let go when it is done.
        del steps
        try:
            for done, future in enumerate(as_completed(running), start=1):
                future.result()
                if on_progress is not None:
                    on_progress(done, len(running), running[future])
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise
