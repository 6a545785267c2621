"""A small run of the store alone: two units in one folder, acknowledged one after the other.

Without arguments it is the warm process of `strace.FaultServer`, whose forks are such writers.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoact.errors import EmoactError
from emoact.sites import SiteName
from emoact.store import manifest
from emoact.store.atomic import remove_left_behind
from emoact.store.convert import convert
from emoact.store.layout import ResultsRoot
from emoact.store.locks import remove_stale_files
from emoact.store.manifest import unit_lock
from emoact.store.protocol import STORES, Store, find_store, store_of
from emoact.store.shard import ShardLayout
from emoact.store.write import lay_out
from tests.support.strace import Ended, FaultServer, serve
from tests.support.units import manifest_entry

CALLS = (
    "mkdir", "openat", "fallocate", "ftruncate", "pwritev2", "write", "fsync", "fdatasync",
    "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir",
)  # fmt: skip
"""The system calls by which the store changes the disk."""

FOLDER = "gpt2"
EMOTIONS = ("anger", "joy")
SITES: tuple[SiteName, ...] = ("resid_pre", "mlp_out")
LENGTHS = (3, 2)


def the_store() -> Store:
    """The store that writes."""
    return find_store(os.environ.get("EMOACT_FAULT_STORE", STORES[0].name))


def unit_key_of(emotion: str, seed: int) -> str:
    """A stand-in for the unit key: another one for another seed."""
    return hashlib.sha256(f"{emotion} {seed}".encode()).hexdigest()


def write_units(
    results: str | os.PathLike[str],
    seed: int,
    *,
    acknowledge: Callable[[str, str], None] | None = None,
    d_model: int = 8,
    run_id: str = "r1",
) -> None:
    """Save the units that are not saved yet, after any earlier crash."""
    root = ResultsRoot(results)
    root.check_writable()
    remove_stale_files(root.partial)
    remove_left_behind(root.activations)
    layout = ShardLayout(sites=SITES, n_layers=2, d_model=d_model, lengths=LENGTHS)
    for emotion in EMOTIONS:
        with unit_lock(root, FOLDER, emotion):
            sha256 = _save_unless_saved(root, emotion, seed, layout, run_id)
        if sha256 and acknowledge:
            acknowledge(emotion, sha256)


def _save_unless_saved(
    root: ResultsRoot, emotion: str, seed: int, layout: ShardLayout, run_id: str
) -> str | None:
    key = unit_key_of(emotion, seed)
    if manifest.unit_state(root, FOLDER, emotion, key=key) == "saved":
        return None
    store = the_store()
    rng = np.random.default_rng([seed, len(emotion)])
    path = root.unit_path(FOLDER, emotion, store=store.name)
    parts: dict[str, Any] = {
        # No two prompts begin alike, since their rows do not either.
        "tokens": [np.arange(length) + 10 * length for length in LENGTHS],
        "token_strings": [["x"] * length for length in LENGTHS],
        "labels": [emotion] * len(LENGTHS),
    }
    with lay_out(path, layout=layout, metadata={"seed": 0, "run_id": run_id}, **parts) as file:
        for site in SITES:
            for layer in layout.layers(site):
                for sample in range(layout.n_samples):
                    rows = rng.standard_normal(layout.shape(site, sample)).astype(np.float32)
                    file.put(site, layer, sample, rows)
        written = store.write(path, shard=file, metadata={"seed": seed, "run_id": run_id}, **parts)
    stated = {**vars(written), "key": key, "run_id": run_id}
    configuration = {} if store is STORES[0] else {"store": store.name}
    manifest.record(
        root, manifest_entry(FOLDER, emotion, model=FOLDER, configuration=configuration, **stated)
    )
    return written.sha256


def run_once(
    results: str, seed: int, report: Callable[[dict[str, Any]], None], run_id: str = "r1"
) -> int:
    """The exit code, as the command line would give it."""
    try:
        write_units(
            results, seed, acknowledge=lambda *unit: report({"acknowledged": unit}), run_id=run_id
        )
    except EmoactError as error:
        report({"error": str(error)})
        return error.exit_code
    return 0


@dataclass(frozen=True, kw_only=True)
class Outcome(Ended):
    """End of a writer."""

    acknowledged: dict[str, str]
    error: str | None


class WriterServer(FaultServer):
    """A warm process whose forks are writers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, module="tests.support.fault_writer", calls=CALLS)

    def run(self, results: Path, seed: int, *, inject: str | None = None) -> Outcome:
        """One writer, to its end; `inject` as in `strace -e inject=...`."""
        report = self.folder / "report"
        report.write_bytes(b"")
        ended = self.fork("write", str(results), seed, str(report), inject=inject)
        items: list[dict[str, Any]] = [json.loads(line) for line in report.read_text().splitlines()]
        return Outcome(
            code=ended.code,
            acknowledged=dict(item["acknowledged"] for item in items if "acknowledged" in item),
            error=next((item["error"] for item in items if "error" in item), None),
            trace=ended.trace,
        )


def _convert(source: str, out: str) -> int:
    """Convert a file to the store of another one's name."""
    convert(source, to=store_of(Path(out)).name, out=out)
    return 0


def _write_and_report(results: str, seed: int, report_path: str) -> int:
    # Opened without O_CREAT and written by writev, which no test makes fail: the report is the
    # test's and not the store's.
    descriptor = os.open(report_path, os.O_WRONLY)

    def report(item: dict[str, Any]) -> None:
        os.writev(descriptor, [json.dumps(item).encode() + b"\n"])

    return run_once(results, seed, report)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        np.random.default_rng()  # loads the generators now and not in every fork
        with tempfile.TemporaryDirectory() as scratch:
            write_units(scratch, 0)  # loads what the store needs
        acts: dict[str, Callable[..., int]] = {"write": _write_and_report, "convert": _convert}
        serve(lambda act, *asked: acts[act](*asked))
    else:
        code = run_once(
            sys.argv[1], int(sys.argv[2]), lambda item: print(json.dumps(item)), *sys.argv[3:]
        )
        sys.exit(code)
