"""`emoact slurm`: an array script whose tasks are the shards of one extraction."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoact.cli.extract_command import add_request, prepared, request_of
from emoact.cli.output import print_json, say
from emoact.cli.parsing import add_command, add_number, add_options
from emoact.errors import RequestError

if TYPE_CHECKING:
    from emoact.jobs.config import RunConfig

_EXAMPLE = """\
emoact slurm --shards 8 --model gpt2 --dataset prompts.jsonl --out extract.sh"""
_SPARE = 2.0
"""Time and memory that are asked for, in units of the estimate."""
_LEAST_MINUTES = 30


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "slurm",
        about="Print an array script for SLURM that works an extraction off in shards.",
        example=_EXAMPLE,
        run=_slurm,
    )
    add_request(parser)
    array = parser.add_argument_group("array")
    add_number(array, "--shards", required=True, help="tasks of the array, from 1")
    for name, metavar, about in (
        ("--cpus", "N", "cores of a task (default: 4)"),
        ("--memory", "SIZE", "memory of a task, as SLURM reads it (default: by the estimate)"),
        ("--time", "TIME", "time of a task, as SLURM reads it (default: by the estimate)"),
        ("--partition", "NAME", "partition (default: that of the cluster)"),
        ("--gpus", "N", "GPUs of a task (default: none)"),
        ("--setup", "COMMAND", "shell command before the work, such as the activation of a venv"),
    ):
        array.add_argument(name, metavar=metavar, help=about)
    array.add_argument("--out", metavar="FILE", help="write the script there (default: print it)")
    add_options(parser, "--json")


def _slurm(arguments: argparse.Namespace) -> int:
    request = request_of(arguments, shard=f"1/{arguments.shards}")
    config = prepared(request)
    text = _script(arguments, config)
    if arguments.out is not None:
        try:
            Path(arguments.out).write_text(text)
        except OSError as error:
            raise RequestError(f"{arguments.out} cannot be written: {error.strerror}") from error
    if arguments.json:
        print_json({"script": text, "request": config.request_id, "shards": arguments.shards})
        return 0
    if arguments.out is None:
        sys.stdout.write(text)
    say(f"submit it with sbatch; `emoact runs show {config.request_id}` shows all shards as one")
    return 0


def _is_word(text: str) -> bool:
    """True for what SLURM takes as it stands: printable, without spaces, quotes and patterns."""
    return bool(text) and text.isprintable() and not set(text) & set(" \"'\\%#")


def _script(arguments: argparse.Namespace, config: RunConfig) -> str:
    """The script; the shard is the number of the array's task."""
    count = arguments.shards
    for name in ("cpus", "memory", "time", "partition", "gpus"):
        value = getattr(arguments, name)
        if value is not None and not _is_word(value):
            raise RequestError(f"--{name} is {value[:40]!r}; SLURM takes one word there")
    memory, time = _estimated(config)
    settings = {
        "job-name": f"emoact-{config.request_id}",
        "array": f"1-{count}",
        "cpus-per-task": arguments.cpus or "4",
        "mem": arguments.memory or memory,
        "time": arguments.time or time,
        "partition": arguments.partition,
        "gpus-per-task": arguments.gpus,
        # Elsewhere it would end the line or be a pattern; SLURM then writes beside the script.
        "output": f"{config.results}/slurm-%A-%a.log" if _is_word(config.results) else None,
    }
    known = {name: value for name, value in settings.items() if value is not None}
    words = shlex.split(config.command)
    at = words.index("--shard")
    # The number of the first shard is replaced by that of the task.
    words = [*words[:at], *words[at + 2 :], "--run-id", config.request_id, "--shard"]
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH --{name}={value}" for name, value in known.items()),
        # A task that was preempted or lost its node starts again and continues.
        "#SBATCH --requeue",
        "set -euo pipefail",
        f"cd {shlex.quote(str(Path.cwd()))}",
        *([] if arguments.setup is None else [arguments.setup]),
        f'exec {shlex.join(words)} "${{SLURM_ARRAY_TASK_ID}}/{count}"',
    ]
    return "\n".join(lines) + "\n"


def _estimated(config: RunConfig) -> tuple[str | None, str | None]:
    """Memory and time of a task; None without an estimate."""
    estimate = config.estimate
    if estimate is None:
        return None, None
    minutes = max(_LEAST_MINUTES, math.ceil(_SPARE * estimate.seconds / 60))
    memory = f"{math.ceil(_SPARE * estimate.memory_bytes / 2**30)}G"
    return memory, f"{minutes // 60:02d}:{minutes % 60:02d}:00"
