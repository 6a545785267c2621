"""Objects of one folder on object storage: listed, read and put there, each one whole."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from emoact.errors import EmoactError, FileRefusedError

LARGEST_RECORD = 1 << 20
_BLOCK = 1 << 23
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "config_kwargs": {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 4}}
    }
}
_RIGHTS = (
    "Check the bucket's name, the credentials (for S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or "
    "a profile) and AWS_ENDPOINT_URL where the service is not Amazon's."
)
VANISHED = "Extract the unit again: `emoact extract` with the same --results puts it back."


class Objects:
    """The objects below a URL, by their names."""

    def __init__(self, url: str) -> None:
        self.url = url

    @functools.cached_property
    def _place(self) -> tuple[Any, str]:
        import fsspec  # type: ignore[import-untyped]

        options = _OPTIONS.get(self.url.partition("://")[0], {})
        # Listings of an earlier request would hide what other machines put there.
        found, path = fsspec.core.url_to_fs(self.url, use_listings_cache=False, **options)
        return found, str(path)

    def names(self, folder: str) -> Iterator[str]:
        """Names of all objects below a folder."""
        with self._storage("listed") as (system, path):
            try:
                found = system.find(f"{path}/{folder}")
            except FileNotFoundError:
                found = []
        for name in found:
            yield str(name).removeprefix(f"{path}/")

    def size(self, name: str) -> int | None:
        """Bytes of an object; None where it is not there."""
        with self._storage("read") as (system, path):
            try:
                return int(system.info(f"{path}/{name}")["size"])
            except FileNotFoundError:
                return None

    def text(self, name: str) -> bytes | None:
        """The first bytes of an object, more than a record has; None where it is not there."""
        with self._storage("read") as (system, path):
            try:
                return bytes(system.cat_file(f"{path}/{name}", start=0, end=LARGEST_RECORD))
            except FileNotFoundError:
                return None

    def read_to(self, name: str, file: BinaryIO | None, *, most: int) -> str:
        """Copy an object of at most so many bytes into a file; returns its SHA-256."""
        digest = hashlib.sha256()
        with self._storage("read") as (system, path):
            try:
                with system.open(f"{path}/{name}", "rb", block_size=_BLOCK) as source:
                    while block := source.read(_BLOCK):
                        digest.update(block)
                        most -= len(block)
                        if most < 0:
                            raise FileRefusedError(
                                "it is larger than what was put there", path=f"{self.url}/{name}"
                            )
                        if file is not None:
                            file.write(block)
            except FileNotFoundError:
                raise FileRefusedError(
                    "the object is not there any more", path=f"{self.url}/{name}", remedy=VANISHED
                ) from None
        return digest.hexdigest()

    def put(self, name: str, content: bytes | Path, *, replace: bool = False) -> None:
        """Put an object under its final name, whole."""
        mode = "overwrite" if replace else "create"
        with self._storage("written") as (system, path):
            if isinstance(content, bytes):
                system.pipe_file(f"{path}/{name}", content, mode=mode)
            else:
                system.put_file(str(content), f"{path}/{name}", mode=mode)

    @contextlib.contextmanager
    def _storage(self, done: str) -> Iterator[tuple[Any, str]]:
        """The file system and the path in it; what its library raises says what to do."""
        failed = "opened"
        try:
            place = self._place
            failed = done
            yield place
        except (EmoactError, FileExistsError):
            raise
        except Exception as error:
            # Every library has exceptions of its own.
            said = str(error).splitlines()[0][:200] if str(error) else ""
            raise EmoactError(
                f"{self.url} cannot be {failed}: {type(error).__name__}: {said}", remedy=_RIGHTS
            ) from error
