"""Data sets that were imported, below `results/datasets`, where a run finds them again."""

from __future__ import annotations

from pathlib import Path

from emoact.store.atomic import replace_atomically, write_error
from emoact.store.layout import ResultsRoot
from emoact.store.locks import make_folder


def keep_dataset(root: ResultsRoot, file_name: str, data: bytes) -> Path:
    """Keep a data set and return its path; its name holds its hash, so equal bytes are kept once.

    Raises:
        EmoactError: It cannot be written.
    """
    path = root.dataset_path(file_name)
    try:
        if path.read_bytes() == data:
            return path
    except FileNotFoundError:
        pass
    except OSError as error:
        raise write_error(error, path=path) from error
    try:
        make_folder(path.parent)
    except OSError as error:
        raise write_error(error, path=path, need=len(data)) from error
    with replace_atomically(path, need=len(data)) as file:
        file.write(data)
    return path


def kept_datasets(root: ResultsRoot) -> tuple[Path, ...]:
    """The data sets that were imported, by name."""
    try:
        entries = sorted(root.datasets.iterdir())
    except OSError:
        return ()
    return tuple(path for path in entries if path.is_file() and not path.name.startswith("."))
