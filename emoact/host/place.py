"""Where workers live: a folder that only its user may enter, one folder in it for each model."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from emoact.errors import EmoactError
from emoact.models.cache import cache_root

# Of `sockaddr_un`, on Linux 108 and on macOS 104 bytes with the final NUL.
_LONGEST_SOCKET = 100
_KEY_LENGTH = 24


def workers_folder() -> Path:
    """The folder of all workers, made where it is missing; never one that others may enter.

    Raises:
        EmoactError: It cannot be made, or belongs to somebody else.
    """
    folder = cache_root().absolute() / "sentence"
    longest = len(os.fsencode(folder)) + 1 + _KEY_LENGTH + len("/socket")
    if longest > _LONGEST_SOCKET:
        # Another cache may hold another conversion of the same model.
        which = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
        folder = Path(tempfile.gettempdir()) / f"emoact-sentence-{os.getuid()}-{which}"
    private(folder)
    return folder


def private(folder: Path) -> None:
    """Make a folder that only its user may enter, or make sure that it is one.

    Raises:
        EmoactError: It cannot be made, or is a link, somebody else's, or open to others.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
                raise EmoactError(
                    f"{folder} is not a folder of yours",
                    remedy="Remove it, or set EMOACT_CACHE to another folder.",
                ) from None
            if stat.S_IMODE(status.st_mode) & 0o077:
                folder.chmod(0o700)
    except OSError as error:
        raise EmoactError(
            f"{folder} cannot be made: {error.strerror}",
            remedy="Set EMOACT_CACHE to a folder that can be written.",
        ) from error
