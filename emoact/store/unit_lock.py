"""One run at a time on one unit: a second one waits, and then finds it saved."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

from emoact.store.atomic import write_error
from emoact.store.layout import ResultsRoot
from emoact.store.shard_file import open_locked

_PAUSE_S = 0.05


@contextlib.contextmanager
def unit_lock(
    root: ResultsRoot,
    folder: str,
    emotion: str,
    *,
    while_waiting: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Keep other runs from this unit, from before its state is looked at until it is recorded.

    Without it, two runs could put their files and their records in place crosswise, and the record
    would describe the other run's file. It ends with its process, however that ends. Where the file
    system knows no locks nothing is kept out here; recording refuses to work there anyway.

    Args:
        root: The results folder.
        folder: Folder of the model.
        emotion: Label.
        while_waiting: Called again and again until the unit is free; may raise to give up.

    Raises:
        EmoactError: The lock file cannot be made.
    """
    path = root.lock_path(folder, emotion)
    try:
        while (descriptor := open_locked(path)) is None:
            if while_waiting:
                while_waiting()
            time.sleep(_PAUSE_S)
    except OSError as error:
        raise write_error(error, path=path) from error
    try:
        yield
    finally:
        # Before it is let go, or the next one's file would go.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)
