"""`emoact extract` and `slurm`: an extraction, and a script whose tasks are its shards."""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from emoact import numbers
from emoact.cli.following import start_and_follow
from emoact.cli.output import ask_to_agree, print_json, say
from emoact.cli.parsing import add_command, add_number, add_options, add_sites, values_of
from emoact.errors import RequestError
from emoact.jobs import executor
from emoact.schema import (
    BosPolicy,
    ChatFormat,
    Device,
    DType,
    ExtractionOptions,
    Generation,
    Precision,
    Processing,
)
from emoact.sites import saved_sites, site_names
from emoact.store import protocol

if TYPE_CHECKING:
    from emoact.jobs.config import RunConfig
    from emoact.jobs.request import ExtractRequest

_EXAMPLE = """\
emoact extract --model smollm2-135m
emoact extract --model gpt2 --model pythia-160m --emotion anger --emotion neutral --detach
emoact extract --model smollm2-135m --chat template --results results-chat
emoact extract --model smollm2-135m --chat template --generate 20 --results results-responses"""
_SPARE = 2.0
"""Time and memory that are asked for, in units of the estimate."""
_LEAST_MINUTES = 30


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "extract",
        about="Save the activations of prompts, one file per model and emotion.",
        example=_EXAMPLE,
        run=_extract,
    )
    _add_request(parser)
    run = parser.add_argument_group("run")
    run.add_argument(
        "--shard",
        metavar="I/N",
        help="work off the Ith of N shares of the units only, for SLURM arrays and others that "
        "start processes; start all with the same words, at once or one by one, and again after a "
        "kill (`emoact slurm` prints a script)",
    )
    add_options(run, "--detach", "--json")
    _add_slurm(commands)


def _add_slurm(commands: Any) -> None:
    parser = add_command(
        commands,
        "slurm",
        about="Print an array script for SLURM that works an extraction off in shards.",
        example="emoact slurm --shards 8 --model gpt2 --dataset prompts.jsonl --out extract.sh",
        run=_slurm,
    )
    _add_request(parser)
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


def _add_request(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is extracted, how and to where."""
    what = parser.add_argument_group("what")
    add_options(
        what,
        "--model",
        metavar="NAME|ID|PATH",
        help="short name, hub id with or without @revision, Hugging Face folder or .gguf file; "
        "repeatable",
    )
    add_options(what, "--emotion", help="label of the data set; repeatable (default: all of them)")
    add_options(what, "--dataset", "--results")
    _add_options(parser.add_argument_group("how"))
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--threads",
        metavar="N",
        help="threads that compute (default: EMOACT_THREADS, else one per core); a run that is "
        "resumed keeps those of its first start",
    )
    machine.add_argument(
        "--pass-tokens",
        metavar="N",
        help="most tokens that go through the model at once, which is what memory grows with "
        "(default: EMOACT_PASS_TOKENS, else 768, of which the plan takes as many as are cheapest)",
    )
    run = parser.add_argument_group("files and executor")
    for name, records, about in (
        ("--store", protocol.STORES, "format of the files"),
        ("--executor", executor.EXECUTORS, "where the work is done"),
    ):
        names = [record.name for record in records]
        told = "; ".join([about, *(f"{record.name}: {record.about}" for record in records)])
        run.add_argument(name, choices=names, default=names[0], metavar="NAME", help=told)
    run.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="of --executor ray: the cluster to join, or auto for that of this machine (default: "
        "start one on this machine)",
    )
    run.add_argument(
        "--keep",
        choices=("all", "pooled"),
        default="all",
        help="all positions, or only the pooled vectors of each prompt, which is what analyses "
        "read (--store pooled)",
    )
    run.add_argument(
        "--precision",
        choices=get_args(Precision),
        default=get_args(Precision)[0],
        help="of --store compact: every bit, or values within 0.001 or 0.008 of themselves "
        "(default: lossless)",
    )
    about = "replace files of another configuration"
    run.add_argument("--overwrite", action="store_true", help=about)
    add_options(run, "--run-id", "--yes")


def _add_options(how: argparse._ArgumentGroup) -> None:
    for name, allowed, about in (
        ("--bos", BosPolicy, "put the model's begin-of-sequence token first"),
        (
            "--processing",
            Processing,
            "weights as published, or folded and centred as TransformerLens 2 did",
        ),
        ("--dtype", DType, "what the model computes in; files hold float32"),
        ("--device", Device, "where the passes run"),
    ):
        how.add_argument(name, choices=get_args(allowed), default=get_args(allowed)[0], help=about)
    about = "put every prompt into the chat template of the model, as the user's turn"
    how.add_argument("--chat", choices=("none", "template"), default="none", help=about)
    for name, about in (
        ("--system", "system prompt before it, with --chat template"),
        ("--assistant", "beginning of the response behind it, with --chat template"),
    ):
        how.add_argument(name, metavar="TEXT", help=about)
    add_number(
        how,
        "--generate",
        metavar="K",
        help="let the model continue every prompt by at most K tokens, and save their activations "
        "and their text too (analyze --pooling mean_response)",
    )
    about = "with --generate: draw each token at this temperature (default: the most probable one)"
    add_number(how, "--temperature", type=float, metavar="T", help=about)
    about = "with --temperature: seed of the draws (default: 0)"
    add_number(how, "--seed", metavar="S", help=about)
    add_sites(how, site_names(), f"; repeatable (default: {' and '.join(saved_sites())})")
    for name, about in (
        ("--truncate", "cut prompts that are longer than the context"),
        (
            "--allow-nonadditive-mlp",
            "take models whose MLP output is not what is added to the residual stream",
        ),
    ):
        how.add_argument(name, action="store_true", help=about)
    add_options(how, "--allow-pickle-weights")


def _store(arguments: argparse.Namespace) -> str:
    """Name of the store; `--keep pooled` needs the one that keeps pooled vectors."""
    if arguments.keep == "all":
        return str(arguments.store)
    if arguments.store not in (protocol.STORES[0].name, protocol.PooledStore.name):
        raise RequestError(
            f"--store {arguments.store} keeps all positions, and --keep pooled asks for vectors",
            remedy="Leave out one of them.",
        )
    return protocol.PooledStore.name


def request_of(arguments: argparse.Namespace, *, shard: str | None) -> ExtractRequest:
    """The request of a command line.

    Raises:
        RequestError: An option has a value that is not allowed.
    """
    from emoact.jobs.config import Shard
    from emoact.jobs.request import ExtractRequest
    from emoact.models.effort import THREADS, WIDTH, wanted

    # The worker is another process; it reads them where a user without a terminal sets them.
    for name, value in ((THREADS, arguments.threads), (WIDTH, arguments.pass_tokens)):
        if value is not None:
            os.environ[name] = value
        wanted(name)
    return ExtractRequest(
        **values_of(arguments, "dataset", "results", "overwrite", "allow_pickle_weights"),
        **values_of(arguments, "run_id", "executor", "ray_address"),
        models=tuple(arguments.model),
        emotions=None if arguments.emotion is None else tuple(arguments.emotion),
        options=ExtractionOptions(
            **values_of(arguments, "bos", "processing", "dtype", "device", "precision"),
            **values_of(arguments, "truncate", "allow_nonadditive_mlp"),
            sites=tuple(arguments.site or saved_sites()),
            chat=_chat(arguments),
            generation=_generation(arguments),
        ),
        assume_yes=arguments.yes,
        store=_store(arguments),
        shard=None if shard is None else Shard.parse(shard),
    )


def _extract(arguments: argparse.Namespace) -> int:
    from emoact.jobs.launch import start
    from emoact.jobs.shards import start_shard

    config = _prepared(request_of(arguments, shard=arguments.shard))
    for note in config.dataset.notes:
        say(note)
    _say_estimate(config)
    return start_and_follow(
        arguments,
        config.run_id,
        lambda: start(config) if config.shard is None else start_shard(config),
    )


def _chat(arguments: argparse.Namespace) -> ChatFormat | None:
    if arguments.chat == "template":
        return ChatFormat(system=arguments.system or None, assistant=arguments.assistant or None)
    for name in ("system", "assistant"):
        if getattr(arguments, name) is not None:
            raise RequestError(
                f"--{name} is part of a chat format, and --chat is none",
                remedy="Add --chat template.",
            )
    return None


def _generation(arguments: argparse.Namespace) -> Generation | None:
    if arguments.seed is not None and arguments.temperature is None:
        raise RequestError(
            "--seed is of the draws of a response, and without --temperature none is drawn",
            remedy="Add --temperature, or leave --seed out.",
        )
    if arguments.generate is not None:
        return Generation(
            max_tokens=arguments.generate,
            temperature=arguments.temperature,
            seed=arguments.seed or 0,
        )
    if arguments.temperature is not None:
        raise RequestError(
            "--temperature is of a response, and none is asked for", remedy="Add --generate K."
        )
    return None


def _prepared(request: ExtractRequest) -> RunConfig:
    """Checked request; on a terminal, downloads and terms are agreed to by one question."""
    from emoact.jobs.request import AgreementError, prepare

    try:
        return prepare(request)
    except AgreementError as question:
        ask_to_agree(question)
        return prepare(dataclasses.replace(request, assume_yes=True))


def _say_estimate(config: RunConfig) -> None:
    estimate = config.estimate
    if estimate is None:
        return
    kind = "measured on this machine" if estimate.rate_source == "measured" else "a first guess"
    say(
        f"{numbers.plural(config.n_samples, 'prompt')}: about "
        f"{numbers.duration(estimate.seconds)} ({kind}), {numbers.size(estimate.disk_bytes)} of "
        f"disk, {numbers.size(estimate.memory_bytes)} of memory"
    )
    for warning in estimate.warnings:
        say(f"warning: {warning}")


def _slurm(arguments: argparse.Namespace) -> int:
    request = request_of(arguments, shard=f"1/{arguments.shards}")
    config = _prepared(request)
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
