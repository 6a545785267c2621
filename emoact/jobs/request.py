"""Request of an extraction, and every check of it that needs no model."""

from __future__ import annotations

import dataclasses
import difflib
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emoact.data import read_prompts
from emoact.decode import sha256_of
from emoact.errors import RequestError
from emoact.jobs.config import DatasetRef, RunConfig, RunModel, Shard, new_run_id, now
from emoact.jobs.estimate import ModelWork, estimate_run
from emoact.jobs.executor import LOCAL, RAY, SHARDS, check_ray, find_executor
from emoact.jobs.on_disk import units_on_disk
from emoact.jobs.queue import worker_slots
from emoact.jobs.redact import redact
from emoact.models.chat import check_chat
from emoact.models.registry import REGISTRY
from emoact.models.resolve import resolve_model
from emoact.models.source import ModelIdentity, ModelSource
from emoact.models.weights import check_memory
from emoact.schema import ChatFormat, Dataset, ExtractionOptions, Prompt, check_emotion
from emoact.sites import check_poolable
from emoact.store.layout import ResultsRoot, check_id
from emoact.store.parts import Part
from emoact.store.protocol import PooledStore, find_store
from emoact.store.remote import remote_of

ASK_FROM_BYTES = 200_000_000
"""A larger download is asked about first."""


@dataclass(frozen=True, kw_only=True)
class ExtractRequest:
    """A request to extract activations, as typed or clicked.

    Attributes:
        models: Short names, hub ids with or without `@revision`, directories or `.gguf` files.
        dataset: A file that `read_prompts` reads.
        emotions: Labels of the data set; None takes all of them.
        overwrite: Replace files of another configuration.
        allow_pickle_weights: Load weights that are stored as pickles.
        run_id: Name of the run; None makes one.
        assume_yes: Download more than 200 MB, and accept terms of use, without asking.
        store: Name of the store that writes the files.
        shard: The share of the units to work off; None for all of them.
        ray_address: Cluster that the executor `ray` joins: `auto` or an address; None makes one.
    """

    models: tuple[str, ...]
    dataset: str | os.PathLike[str] = "data/prompts.jsonl"
    results: str | os.PathLike[str] = "results"
    emotions: tuple[str, ...] | None = None
    options: ExtractionOptions = field(default_factory=ExtractionOptions)
    overwrite: bool = False
    allow_pickle_weights: bool = False
    run_id: str | None = None
    assume_yes: bool = False
    executor: str = "local"
    store: str = "pickle"
    shard: Shard | None = None
    ray_address: str | None = None


class AgreementError(RequestError):
    """Models that are fetched only once the user has agreed to their size and terms."""

    def __init__(self, sources: Sequence[ModelSource]) -> None:
        named = {source.terms.name for source in sources if source.terms is not None}
        terms = " and the ".join(sorted(named))
        accept = f" and to accept the {terms}" if terms else ""
        super().__init__(
            "; ".join(_to_agree(source) for source in sources),
            remedy=f"Pass --yes to download{accept}, or choose a model that is installed "
            "(`emoact models list`).",
        )
        self.terms = terms


def _to_agree(source: ModelSource) -> str:
    size = "an unknown number of bytes"
    if source.download_bytes is not None:
        size = f"{source.download_bytes / 1e6:,.0f} MB"
    text = f"{source.name} is not on this machine; {size} have to be downloaded"
    if source.terms is not None:
        text += (
            f", and its weights are under the {source.terms.name} (`{source.terms.url}`; "
            "a copy is kept beside the installed model)"
        )
    return text


def prepare(request: ExtractRequest) -> RunConfig:
    """The checked request, with its models resolved, its prompts counted and its cost estimated.

    Writes nothing. A page may call it on every change of its widgets; the hub is asked only about
    a model that is not on this machine.

    Raises:
        AgreementError: The user has to agree to a download or to terms of use first.
        RequestError: Something in the request is wrong; the message says what is allowed.
    """
    worker_slots()
    find_executor(request.executor)
    if request.shard is not None and request.executor != LOCAL.name:
        raise RequestError(
            f"--shard divides the work itself, and so does the executor {request.executor}",
            remedy="Leave out one of them.",
        )
    if request.ray_address is not None and request.executor != RAY.name:
        raise RequestError(
            "--ray-address is of the executor ray", remedy="Add --executor ray, or leave it out."
        )
    if request.executor == RAY.name:
        check_ray(request.ray_address)
    store = find_store(request.store)
    if request.options.precision not in store.precisions:
        raise RequestError(
            f"the store {store.name} keeps every bit; precision {request.options.precision} needs "
            "another one",
            remedy="Pass --store compact, or leave out --precision.",
        )
    if store.name == PooledStore.name:
        check_poolable(request.options.sites)
    run_id = new_run_id() if request.run_id is None else check_id(request.run_id)
    root = ResultsRoot(request.results)
    dataset = read_prompts(request.dataset)
    emotions = _emotions(request, dataset)
    sources = _sources(request)
    root.check_writable()
    remote = remote_of(root)
    if remote is not None:
        remote.check()
    config = RunConfig(
        run_id=run_id,
        created_at=now(),
        models=tuple(_run_model(asked, source) for asked, source in sources.items()),
        emotions=emotions,
        counts={emotion: len(dataset.of(emotion)) for emotion in emotions},
        dataset=DatasetRef(
            source=os.fspath(request.dataset),
            path=os.fspath(Path(request.dataset).absolute()),
            sha256=dataset.sha256,
            notes=dataset.notes,
        ),
        options=request.options,
        overwrite=request.overwrite,
        allow_pickle_weights=request.allow_pickle_weights,
        results=os.path.realpath(root.path),
        command=redact(shell_command(request)),
        executor=request.executor if request.shard is None else SHARDS.name,
        store=request.store,
        shard=request.shard,
        ray_address=request.ray_address,
    )
    work = [
        _work(model, source, _missing(config, source, dataset, root), request.options.chat)
        for model, source in zip(config.models, sources.values(), strict=True)
    ]
    for source, one in zip(sources.values(), work, strict=True):
        if one.texts:
            check_memory(source.name, source.n_parameters, request.options.dtype)
    if request.shard is not None:
        name = request.run_id or default_name(config)
        config = dataclasses.replace(config, run_id=check_id(request.shard.run_id(name)))
    smaller = store.precisions[request.options.precision]
    estimate = estimate_run(work, request.options, results=request.results, smaller=smaller)
    return dataclasses.replace(config, estimate=estimate)


def default_name(config: RunConfig) -> str:
    """Name of a request of shards that was given none; the same for all its shards."""
    return f"shards-{sha256_of(config.asked())[:12]}"


def check_agreed(sources: Iterable[ModelSource], *, assume_yes: bool) -> None:
    """Return when the models may be fetched without a question.

    Raises:
        AgreementError: The user has to agree first: to terms of use, or to a large download.
    """
    asked = [source for source in sources if _asks(source)]
    if asked and not assume_yes:
        raise AgreementError(asked)


def _asks(source: ModelSource) -> bool:
    large = source.download_bytes is None or source.download_bytes > ASK_FROM_BYTES
    fetched = source.needs in ("install", "download")
    return fetched and (large or source.terms is not None)


def _emotions(request: ExtractRequest, dataset: Dataset) -> tuple[str, ...]:
    if request.emotions is None:
        return dataset.emotions
    chosen = tuple(dict.fromkeys(check_emotion(emotion) for emotion in request.emotions))
    if not chosen:
        raise RequestError(f"no emotion chosen; {dataset.source} has {', '.join(dataset.emotions)}")
    for emotion in chosen:
        if emotion not in dataset.emotions:
            close = difflib.get_close_matches(emotion, dataset.emotions, n=1)
            raise RequestError(
                f"emotion {emotion!r} is not in {dataset.source}; it has "
                f"{', '.join(dataset.emotions)}",
                remedy=f"Did you mean {close[0]}?" if close else None,
            )
    return chosen


def _sources(request: ExtractRequest) -> dict[str, ModelSource]:
    """The models by what resolves to them; two spellings of one model count once."""
    if not request.models:
        raise RequestError(
            f"no model chosen; the registry has {', '.join(spec.name for spec in REGISTRY)}",
            remedy="Name one with --model.",
        )
    sources: dict[str, ModelSource] = {}
    for text in dict.fromkeys(request.models):
        source = resolve_model(text, allow_pickle_weights=request.allow_pickle_weights)
        if source.folder in {known.folder for known in sources.values()}:
            continue
        sources[_asked(text, source)] = source
    check_agreed(sources.values(), assume_yes=request.assume_yes)
    return sources


def _asked(text: str, source: ModelSource) -> str:
    """Name of the model that is valid in any working directory."""
    if source.kind in ("local", "gguf"):
        return os.fspath(Path(text).expanduser().resolve())
    return text


def _run_model(asked: str, source: ModelSource) -> RunModel:
    shape = source.shape
    return RunModel(
        **{field.name: getattr(source, field.name) for field in dataclasses.fields(ModelIdentity)},
        asked=asked,
        n_layers=None if shape is None else shape.n_layers,
        d_model=None if shape is None else shape.d_model,
        n_heads=None if shape is None else shape.n_heads,
        n_parameters=_n_parameters(source),
    )


def _n_parameters(source: ModelSource) -> int | None:
    if source.n_parameters is not None:
        return source.n_parameters
    for spec in REGISTRY:
        if spec.hub_id == source.model_name:
            return spec.n_parameters
    shape = source.shape
    if shape is None:
        return None
    # The rule of thumb of transformers: attention and MLP of width 4 d, and the embedding.
    return 12 * shape.n_layers * shape.d_model**2 + shape.d_vocab * shape.d_model


def _missing(
    config: RunConfig, source: ModelSource, dataset: Dataset, root: ResultsRoot
) -> dict[str, tuple[Prompt, ...]]:
    """The prompts of the run's units of one model that are not on disk, by label."""
    prompts = {
        part.label: prompts_of(dataset, part)
        for model, part in config.units
        if model.folder == source.folder
    }
    there = units_on_disk(
        root,
        source,
        prompts,
        options=config.options,
        overwrite=config.overwrite,
        store=config.store,
        # Another shard may be about to record a file; the run waits for it and looks again.
        others_at_work=config.shard is not None,
    )
    return {label: own for label, own in prompts.items() if label not in there}


def prompts_of(dataset: Dataset, part: Part) -> tuple[Prompt, ...]:
    """The prompts of a part, in the order of the data set."""
    own = dataset.of(part.emotion)
    return own[part.slice(len(own))]


def _work(
    model: RunModel,
    source: ModelSource,
    missing: Mapping[str, Sequence[Prompt]],
    chat: ChatFormat | None,
) -> ModelWork:
    texts = {emotion: [prompt.text for prompt in own] for emotion, own in missing.items()}
    if chat is not None and source.path is not None:
        texts = {
            emotion: check_chat(source.path, source.name, chat, own)
            for emotion, own in texts.items()
        }
    return ModelWork(
        **vars(model),
        directory=None if source.path is None else os.fspath(source.path),
        texts=texts,
    )


def shell_command(request: ExtractRequest) -> str:
    """Shell command of the same request; defaults are left out, except those of the science.

    BOS, processing, dtype and sites are always said, so that a later default changes nothing.
    """
    words = ["python", "-m", "emoact", "extract"]
    for model in request.models:
        words += ["--model", model]
    for emotion in request.emotions or ():
        words += ["--emotion", emotion]
    words += ["--dataset", os.fspath(request.dataset), "--results", os.fspath(request.results)]
    words += _options(request.options)
    for name, value, default in (
        ("store", request.store, "pickle"),
        ("executor", request.executor, "local"),
        ("shard", request.shard, None),
        ("ray-address", request.ray_address, None),
    ):
        words += [] if value == default else [f"--{name}", str(value)]
    flags = {
        "--allow-pickle-weights": request.allow_pickle_weights,
        "--overwrite": request.overwrite,
        "--yes": request.assume_yes,
    }
    words += [flag for flag, is_set in flags.items() if is_set]
    return shlex.join(words)


def _options(options: ExtractionOptions) -> list[str]:
    words = ["--bos", options.bos, "--processing", options.processing, "--dtype", options.dtype]
    for site in options.sites:
        words += ["--site", site]
    if options.truncate:
        words.append("--truncate")
    if options.allow_nonadditive_mlp:
        words.append("--allow-nonadditive-mlp")
    if options.precision != "lossless":
        words += ["--precision", options.precision]
    if options.device != "auto":
        words += ["--device", options.device]
    words += [] if options.chat is None else options.chat.command
    return words + ([] if options.generation is None else options.generation.command)
