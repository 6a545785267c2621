"""Extract, audit, analyse and show generated prompts, and write the tables of docs/scale.md.

    python scripts/measure_scale.py --prompts 2000 20000 100000
    python scripts/measure_scale.py --stores results
    python scripts/measure_scale.py --losses 50
    python scripts/measure_scale.py --workers

A tiny Llama with random weights computes, two classes divide the prompts, and pooled vectors are
kept. Each step is a process of its own, whose peak memory is measured. The extraction is killed
when a third of the files is there and when two thirds are, and resumed. Figures say how emoact
grows with prompts; a real model takes longer for each.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "scale.md"
KILLS = 2
UNITS, PROMPTS = 60, 3
"""Units of the runs with one and two workers, and prompts of each."""
STEPS = ("extract", "verify", "audit", "analyze", "pages")
_EVENTS = {
    "anger": ("broke my cup again", "lied to all of us", "took the money from the drawer"),
    "neutral": ("put the cup on the shelf", "wrote a list of the rooms", "moved the drawer"),
}
_LOSSES = {
    "Ray on three nodes": "tests/contract/test_ray.py::"
    "test_lost_workers_nodes_and_drivers_leave_the_files_of_a_local_run",
    "shards": "tests/contract/test_shards.py::"
    "test_shards_that_are_killed_and_repeated_leave_what_one_run_leaves",
}
_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "June")
_PLACES = ("kitchen", "office", "garden", "station", "library", "hotel", "shop", "school")


def main() -> int:
    """Measure every size, and write the table."""
    parser = argparse.ArgumentParser(description="Measure emoact with many generated prompts.")
    parser.add_argument("--prompts", type=int, nargs="+", default=[2_000, 10_000, 100_000])
    parser.add_argument("--stores", metavar="RESULTS", help="the table of stores instead, on these")
    parser.add_argument("--losses", type=int, metavar="SEEDS", help="the table of losses instead")
    parser.add_argument("--workers", action="store_true", help="the table of workers instead")
    parser.add_argument("--here", choices=tuple(_DO), help="do one step in this process")
    parser.add_argument("--folder", type=Path, help="folder of that step, or one that is kept")
    parser.add_argument("--print", action="store_true", help="print the table alone")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measured(options.here, options.folder)))
        return 0
    if options.stores:
        name, text = "stores", stores_table(options.stores)
    elif options.losses:
        name, text = "losses", losses_table(options.losses)
    elif options.workers:
        with tempfile.TemporaryDirectory() as folder:
            name, text = "workers", workers_table(child(Path(folder), "ray"))
    else:
        rows = []
        for n_prompts in options.prompts:
            with tempfile.TemporaryDirectory() as scratch:
                kept = (options.folder or Path(scratch)).resolve()
                kept.mkdir(parents=True, exist_ok=True)
                rows.append(size_of(n_prompts, kept))
                print(rows[-1], flush=True)
        name, text = "scale", table(rows)
    print(text) if options.print else write(name, text)
    return 0


def write(name: str, text: str) -> None:
    """Put a table in its place in the document."""
    begin, end = f"<!-- {name}: written by scripts/measure_scale.py -->", f"<!-- end of {name} -->"
    before, rest = DOCUMENT.read_text(encoding="utf-8").split(begin)
    DOCUMENT.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def stores_table(results: str) -> str:
    """Every store on the lossless units of a results folder, as `emoact bench --store` has it."""
    from emoact.bench.stores import bench_stores
    from emoact.store.convert import precision_in
    from emoact.store.reading import read_all

    units = [u for u in read_all(results) if not u.pooled and precision_in(u) == "lossless"]
    load = os.getloadavg()[0]
    found = bench_stores(units)
    models = " and ".join(dict.fromkeys(unit.model_name for unit in units))
    n_prompts = sum(unit.n_samples for unit in units)
    lines = [
        f"{models}: {len(units)} files of {n_prompts:,} prompts; load average "
        f"{load:.1f} to {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        "",
        "| store | precision | size | times smaller | write MB/s | read MB/s | open ms "
        "| one layer of one prompt ms | largest relative error |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for each in found:
        error = f"{each.relative_error:.1e}" if each.relative_error else "0"
        lines.append(
            f"| {each.store} | {each.precision} | {each.n_bytes / 1e6:,.1f} MB | {each.ratio:.2f} "
            f"| {each.write_mb_per_s:,.0f} | {each.read_mb_per_s:,.0f} | {each.open_ms:.1f} "
            f"| {each.one_ms:.1f} | {error} |"
        )
    return "\n".join(lines)


def losses_table(n_seeds: int) -> str:
    """Runs whose workers are lost at random, as their tests make them, one for each seed."""
    lines = [
        "| run | seeds | files equal to the local run | lost on the way | seconds a seed |",
        "|---|--:|--:|---|--:|",
    ]
    for name, test in _LOSSES.items():
        with tempfile.NamedTemporaryFile(suffix=".xml") as report:
            words = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report.name}", test]
            more = {"EMOACT_SEEDS": str(n_seeds), "OMP_NUM_THREADS": "1"}
            subprocess.run(words, cwd=ROOT, env={**os.environ, **more}, check=False)
            # The file is the output of the pytest run above.
            cases = list(ET.parse(report.name).iter("testcase"))  # noqa: S314
        bad = {"failure", "error", "skipped"}
        good = sum(not bad & {each.tag for each in case} for case in cases)
        lost = Counter[str]()
        for each in (found for case in cases for found in case.iter("property")):
            lost[str(each.get("name"))] += int(str(each.get("value")))
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(lost.items()))
        seconds = sum(float(case.get("time", 0)) for case in cases) / max(len(cases), 1)
        lines.append(f"| {name} | {len(cases)} | {good} | {told} | {seconds:.0f} |")
    return "\n".join(lines)


def workers_table(found: dict[str, Any]) -> str:
    """Seconds of runs that wait for their passes, as with a core for each worker, or that do not.

    Between the first unit and the last, so that neither loading nor the start of Ray counts.
    """
    lines = [
        f"{UNITS} units of {PROMPTS} prompts; load average {found['load']} on {os.cpu_count()} "
        "cores.",
        "",
        "| run | seconds with passes of 100 ms | times the speed of one worker "
        "| ms a unit without passes |",
        "|---|--:|--:|--:|",
    ]
    for name, (waiting, idle) in found["runs"].items():
        speed = found["runs"]["Ray, one worker"][0] / waiting
        lines.append(f"| {name} | {waiting:.1f} | {speed:.2f} | {idle / UNITS * 1000:.0f} |")
    return "\n".join(lines)


def size_of(n_prompts: int, folder: Path) -> dict[str, Any]:
    """Every step with that many prompts."""
    from emoact.store.parts import count_parts

    # In a process of its own too: the peak of a process is never below its parent's.
    child(folder, "model")
    write_prompts(folder / "prompts.jsonl", n_prompts)
    row: dict[str, Any] = {"prompts": n_prompts, "load": round(os.getloadavg()[0], 1)}
    n_files = sum(count_parts(n) for n in (-(-n_prompts // 2), n_prompts // 2))
    row["killed"] = [killed(folder, n * n_files // (KILLS + 1)) for n in range(1, KILLS + 1)]
    for step in STEPS:
        row[step] = child(folder, step)
    sizes = [path.stat().st_size for path in (folder / "results/activations").glob("*/*")]
    row |= {"files": len(sizes), "mb": round(sum(sizes) / 1e6, 1)}
    return row


def write_prompts(path: Path, n_prompts: int) -> None:
    """Sentences of two classes; a scenario is a name, a place and a number."""
    rng = random.Random(0)
    with path.open("w") as file:
        for number in itertools.count():
            name, place = rng.choice(_NAMES), rng.choice(_PLACES)
            for place_of, (emotion, events) in enumerate(_EVENTS.items()):
                if 2 * number + place_of >= n_prompts:
                    return
                text = f"In the {place} of house {number}, {name} {rng.choice(events)}."
                row = {"id": f"{emotion}-{number}", "text": text, "emotion": emotion}
                file.write(json.dumps({**row, "scenario_id": f"s{number}"}) + "\n")


def _begin(folder: Path, step: str) -> subprocess.Popen[str]:
    own = {"PYTHONPATH": str(ROOT), "EMOACT_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    own |= {"EMOACT_RESULTS": str(folder / "results"), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, __file__, "--here", step, "--folder", str(folder)]
    return subprocess.Popen(words, env={**os.environ, **own}, stdout=subprocess.PIPE, text=True)


def killed(folder: Path, after: int) -> int:
    """Begin to extract, kill it when so many files are there, and count those that are left."""
    activations = folder / "results" / "activations"
    process = _begin(folder, "extract")
    while process.poll() is None and len(list(activations.glob("*/activations_*"))) < max(after, 1):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        raise SystemExit(f"extract had ended with {process.returncode} before it was killed")
    return len(list(activations.glob("*/activations_*")))


def child(folder: Path, step: str) -> dict[str, Any]:
    """Figures of a step in a process of its own."""
    process = _begin(folder, step)
    said = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"{step} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def measured(step: str, folder: Path) -> dict[str, Any]:
    """Processor seconds and peak memory of a step in this process."""
    began = time.process_time()
    more = _DO[step](folder) or {}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"cpu_s": round(time.process_time() - began, 1), "peak_mb": round(peak), **more}


class _Silent:
    """A reporter of nothing."""

    def step(self, *_: Any, **__: Any) -> None:
        """Pass over it."""

    unit = note = check_in_place = check_cancelled = step


def _model(folder: Path) -> None:
    from tests.support.tiny_models import save_tiny

    save_tiny("llama", folder / "model")


def _extract(folder: Path) -> None:
    from emoact.decode import decode, encode
    from emoact.extraction.pipeline import run_units
    from emoact.jobs.config import RunConfig
    from emoact.jobs.directory import FrozenChoices
    from emoact.jobs.request import ExtractRequest, prepare
    from emoact.store.summaries import grid

    request = ExtractRequest(
        models=(str(folder / "model"),),
        dataset=folder / "prompts.jsonl",
        results=folder / "results",
        run_id="scale",
        store="pooled",
    )
    # What was killed is resumed with what was asked for, and what was saved is summarised for the
    # pages, as the worker of a run does it.
    asked = folder / "config.json"
    if not asked.exists():
        asked.write_text(json.dumps(encode(prepare(request))))
    config = decode(RunConfig, json.loads(asked.read_text()), where=str(asked))
    run_units(config, reporter=_Silent(), plans=FrozenChoices(folder / "plan.json"))
    grid.main([str(folder / "results")])


def _verify(folder: Path) -> None:
    from emoact.store.verify import is_ok, verify_files

    found = verify_files(folder / "results").findings
    if not is_ok(found):
        raise SystemExit(f"verify found {found}")


def _audit(folder: Path) -> None:
    from emoact.data import read_prompts
    from emoact.stats.audit import audit_dataset

    audit_dataset(read_prompts(folder / "prompts.jsonl"))


def _analyze(folder: Path) -> None:
    from emoact.analysis.request import AnalyzeRequest, prepare_analysis
    from emoact.analysis.save import save_analysis
    from emoact.analysis.worker import AnalysisWork, Computed, compute_analysis
    from emoact.decode import decode
    from emoact.store.layout import ResultsRoot

    root = ResultsRoot(folder / "results")
    config = prepare_analysis(AnalyzeRequest(results=root.path)).config
    work = decode(AnalysisWork, config.request, where="the request")
    found = compute_analysis(root, work, lambda *_, **__: None)
    if not isinstance(found, Computed):
        raise SystemExit("the analysis was there already")
    save_analysis(root, found.result, found.inputs, run_id="scale")


def _pages(folder: Path) -> dict[str, Any]:
    from tests.support.pages import open_page

    asked = {path.stem: dict[str, str]() for path in (ROOT / "pages").glob("*.py")}
    asked |= {"prompts": {"file": f"{folder}/prompts.jsonl"}, "distances": {"view": "prompts"}}
    found: dict[str, list[float]] = {}
    for page, parameters in sorted(asked.items()):
        found[page] = []
        for _ in range(4):
            began = time.perf_counter()
            open_page(page, **parameters)
            found[page].append(time.perf_counter() - began)
    first = {page: own[0] for page, own in found.items()}
    later = {page: statistics.median(own[1:]) for page, own in found.items()}
    return {
        f"{name}_s": f"{max(times.values()):.2f} s, {max(times, key=times.__getitem__)}"
        for name, times in (("first", first), ("later", later))
    }


class _Timed(_Silent):
    """Seconds from the first unit to the last."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0

    def unit(self, event: str, **_: Any) -> None:
        """Take the time."""
        self.ended = time.perf_counter()
        if event == "unit_started":
            self.began = self.began or self.ended


def _ray(folder: Path) -> dict[str, Any]:
    from ray.cluster_utils import Cluster

    from emoact.extraction.pipeline import run_units
    from emoact.host.ray_run import run_on_ray
    from tests.support.numpy_engine import numpy_engine
    from tests.support.stand_in_world import World

    load = round(os.getloadavg()[0], 1)
    runs = {"one process": 0, "Ray, one worker": 1, "Ray, two workers": 2}
    found: dict[str, list[float]] = {name: [] for name in runs}
    world = World(folder)
    world.write_dataset([f"e{number:02}" for number in range(UNITS)], n_samples=PROMPTS)
    models = [world.model(f"waits{pass_s}", pass_s=pass_s) for pass_s in (0.1, 0.0)]
    for name, n_workers in runs.items():
        small = {"num_cpus": n_workers, "object_store_memory": 80 << 20, "include_dashboard": False}
        cluster: Any = Cluster(initialize_head=True, head_node_args=small) if n_workers else None
        for model in models:
            timed, results = _Timed(), folder / name / model.name
            where = {"executor": "ray", "ray_address": cluster.address} if cluster else {}
            config = world.config(model, results=results, run_id="run", **where)
            (results / "runs" / "run").mkdir(parents=True)
            run = run_on_ray if cluster else run_units
            run(config, reporter=timed, plans={}, engine_for=numpy_engine)
            found[name].append(round(timed.ended - timed.began, 2))
        if cluster:
            cluster.shutdown()
    return {"load": load, "runs": found}


_DO: dict[str, Callable[[Path], dict[str, Any] | None]] = {
    "model": _model,
    "extract": _extract,
    "verify": _verify,
    "audit": _audit,
    "analyze": _analyze,
    "pages": _pages,
    "ray": _ray,
}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows in Markdown: processor seconds and peak memory of every step."""
    head = ["prompts", "files", "MB", *(f"{step} s / MB" for step in STEPS)]
    head += ["slowest page, first", "slowest page, later", "load"]
    lines = [f"| {' | '.join(head)} |", f"|{'--:|' * len(head)}"]
    for row in rows:
        cells = [f"{row['prompts']:,}", f"{row['files']}", f"{row['mb']:,}"]
        cells += [f"{row[step]['cpu_s']:,} s, {row[step]['peak_mb']:,} MB" for step in STEPS]
        cells += [row["pages"]["first_s"], row["pages"]["later_s"], str(row["load"])]
        lines.append(f"| {' | '.join(cells)} |")
    first, last = rows[0], rows[-1]
    more = (last["prompts"] - first["prompts"]) / 1000
    if more:
        grown = {step: (last[step]["peak_mb"] - first[step]["peak_mb"]) / more for step in STEPS}
        shown = ", ".join(f"{step} {kb:.1f} kB" for step, kb in grown.items())
        lines += ["", f"A prompt more takes, from the first row to the last: {shown}."]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
