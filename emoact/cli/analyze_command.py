"""`emoact analyze`: directions and their statistics, and their files for other tools."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoact import numbers
from emoact.cli.following import start_and_follow
from emoact.cli.output import print_either, print_json, print_line, print_table, say
from emoact.cli.parsing import add_command, add_list, add_number, add_options, add_sites, values_of
from emoact.decode import encode
from emoact.errors import RequestError
from emoact.sites import analysed_sites, in_order, vector_sites

if TYPE_CHECKING:
    from emoact.analysis.request import AnalyzeRequest
    from emoact.analysis.saved import SavedAnalysis
    from emoact.analysis.steering import BlockVectors
    from emoact.jobs.views import RunView

_EXAMPLE = """\
emoact analyze
emoact analyze --controls
emoact analyze --model smollm2-135m --pooling last --site resid_pre --json"""

_HEADLINE_TABLES = ("headline", "baselines", "pairs", "similarity", "across")
_FORMATS = {"gguf": ".gguf", "steering-vectors": ".pt"}
_MODEL_TYPES = {"GPT-2": "gpt2", "GPT-NeoX": "gpt_neox", "GPT-Neo": "gpt_neo", "Llama": "llama"}


def add(commands: Any) -> None:
    """Add the commands."""
    parser = add_command(
        commands,
        "analyze",
        about="Compute emotion directions, distances and comparisons of models, with noise floors.",
        example=_EXAMPLE,
        run=_analyze,
    )
    _add_options(parser)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    about = "List all analyses of a results folder, newest first."
    add_list(actions, "analyze", "--results", about=about, run=_list)
    about, example = "Print a saved analysis.", "emoact analyze show newest"
    show = add_command(actions, "show", about=about, example=example, run=_show)
    about = "its id or the beginning of it, or newest for the latest"
    show.add_argument("id", metavar="ID", help=about)
    add_options(show, "--results", "--json")
    _add_export(actions)


def _add_options(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what")
    add_options(what, "--results")
    add_options(
        what,
        "--model",
        help="folder or hub id of a model on disk; repeatable (default: all of them)",
    )
    add_options(
        what,
        "--emotion",
        help="label on disk; repeatable (default: all); the neutral class is always among them",
    )
    add_sites(what, vector_sites(), f"; repeatable (default: {' and '.join(analysed_sites())})")
    how = parser.add_argument_group("how")
    add_options(how, "--neutral")
    how.add_argument(
        "--reference",
        choices=("neutral", "grand_mean"),
        default="neutral",
        help="measure from the neutral class, or from the mean of all classes, which needs no "
        "neutral",
    )
    add_options(how, "--pooling")
    add_number(
        how,
        "--permutations",
        default=2000,
        help="relabellings behind every p-value, at least 1000 (default: %(default)s)",
    )
    add_number(
        how,
        "--alpha",
        default=0.05,
        metavar="P",
        help="chance of any false alarm over layers, sites, emotions and models "
        "(default: %(default)s)",
    )
    add_number(
        how,
        "--controls",
        default=0,
        nargs="?",
        const=20,
        help="extract every token without context and N shuffles of the words of every prompt too, "
        "at least 20 (default without N: %(const)s); without them no verdict says more than "
        "inconclusive",
    )
    add_options(how, "--seed")
    how.add_argument(
        "--allow-mixed",
        action="store_true",
        help="compare files that were made differently; every chart and export is marked",
    )
    how.add_argument(
        "--leave-out-nonfinite",
        action="store_true",
        help="leave out the prompts that hold NaN or infinite values, and name them",
    )
    run = parser.add_argument_group("run")
    add_options(run, "--allow-pickle-weights", "--run-id", "--detach", "--json")


def _add_export(actions: Any) -> None:
    export = add_command(
        actions,
        "export",
        about="Write the direction of one emotion as a steering vector.",
        example="emoact analyze export --emotion anger --format gguf --out anger.gguf\n"
        "emoact analyze export --emotion anger --format steering-vectors",
        run=_export,
    )
    export.add_argument("--emotion", required=True, metavar="NAME", help="emotion of the direction")
    about = "control vector of repeng and llama.cpp, or fields of a SteeringVector for torch"
    export.add_argument("--format", required=True, choices=list(_FORMATS), help=about)
    for name, metavar, about in (
        ("--model", "NAME", "folder of the model (default: the only one there is)"),
        (
            "--model-hint",
            "TYPE",
            "model_type that a GGUF file names, such as llama (default: that of the registry)",
        ),
        ("--out", "FILE", "path of the file (default: EMOTION_MODEL in the working directory)"),
    ):
        export.add_argument(name, metavar=metavar, help=about)
    add_options(export, "--analysis", "--results", "--json")


def _analyze(arguments: argparse.Namespace) -> int:
    from emoact.analysis.request import prepare_analysis
    from emoact.analysis.saved import SavedAnalysis
    from emoact.jobs.launch import start

    def finish(view: RunView) -> None:
        (made,) = view.made
        found = SavedAnalysis.open(made.path)
        _print(found, as_json=arguments.json, existing=made.existing)

    prepared = prepare_analysis(_request(arguments))
    for problem in prepared.problems:
        say(f"left out: {problem}")
    if prepared.existing is not None:
        say("the same files were analysed with the same settings before")
        if arguments.detach:
            found = prepared.existing.id
            print_either({"id": None, "existing": True, "analysis": found}, arguments.json, found)
        else:
            _print(prepared.existing, as_json=arguments.json, existing=True)
        return 0
    config = prepared.config
    if prepared.controls is not None:
        say(prepared.controls.sentence)
    return start_and_follow(arguments, config.run_id, lambda: start(config), finish=finish)


def _request(arguments: argparse.Namespace) -> AnalyzeRequest:
    from emoact.analysis.request import AnalyzeRequest
    from emoact.stats.settings import AnalysisSettings

    return AnalyzeRequest(
        **values_of(arguments, "results", "run_id", "allow_pickle_weights"),
        models=tuple(arguments.model) or None,
        emotions=None if arguments.emotion is None else tuple(arguments.emotion),
        settings=AnalysisSettings(
            **values_of(arguments, "neutral", "reference", "pooling", "alpha", "seed"),
            **values_of(arguments, "allow_mixed", "leave_out_nonfinite"),
            sites=in_order(arguments.site or analysed_sites()),
            n_permutations=arguments.permutations,
            control_shuffles=arguments.controls,
        ),
    )


def _list(arguments: argparse.Namespace) -> int:
    import dataclasses

    from emoact.analysis.listing import list_analyses
    from emoact.store.layout import ResultsRoot

    rows = list_analyses(ResultsRoot(arguments.results))
    if arguments.json:
        print_json({"analyses": [dataclasses.asdict(row) for row in rows]})
        return 0
    if not rows:
        say(f"no analyses in {arguments.results}; `emoact analyze` makes one")
        return 0
    table = [
        [
            row.id,
            row.created_at,
            ", ".join(row.models),
            ", ".join(row.emotions),
            row.pooling,
            row.problem or "; ".join(row.badges),
        ]
        for row in rows
    ]
    print_table(["ANALYSIS", "MADE", "MODELS", "EMOTIONS", "POOLING", "REMARKS"], table)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from emoact.analysis.listing import read_analysis

    found = read_analysis(arguments.results, arguments.id)
    _print(found, as_json=arguments.json, existing=True)
    return 0


def _print(found: SavedAnalysis, *, as_json: bool, existing: bool) -> None:
    if as_json:
        print_json(_document(found, existing=existing))
        return
    for badge in found.badges:
        print_line(f"! {badge}")
    for sentence in found.sentences.values():
        print_line(sentence)
    for finding in (*found.findings, *found.refusals):
        print_line(f"{finding.severity}: {finding.where}: {finding.message}")
    for table, columns in found.lacks.items():
        print_line(
            f"note: {table}: not saved by emoact {found.versions.get('emoact', '(unknown)')}: "
            f"{', '.join(columns)}; `{found.command}` computes them"
        )
    if found.controls:
        tokens = sum(each.n_tokens for each in found.controls)
        print_line(
            f"control extractions of {len(found.controls)} units: {tokens:,} tokens without "
            f"context, {found.settings.control_shuffles} orders of the words of every prompt"
        )
    if "headline" in found.tables:
        print_line("")
        _print_headline(found)
    print_line("")
    print_line(f"analysis {found.id} in {found.path}")


def _print_headline(found: SavedAnalysis) -> None:
    rows = [
        [
            row["model"],
            row["emotion"],
            row["site"],
            numbers.significant(row["p_holm"]),
            str(row["layers"]),
            row["evaluation"],
            numbers.significant(row["balanced_accuracy"]),
            f"{row['baseline']} {numbers.significant(row['text_balanced_accuracy'])}",
            row["verdict"],
        ]
        for row in found.table("headline").to_dict("records")
    ]
    header = ["MODEL", "EMOTION", "SITE", "P", "LAYERS", "EVALUATION", "PROBE", "WORDS", "VERDICT"]
    print_table(header, rows)


def _document(found: SavedAnalysis, *, existing: bool) -> dict[str, Any]:
    from emoact.stats.across.geometry import HEADLINE

    fields = ("id", "created_at", "run_id", "settings", "inputs", "controls", "sentences", "badges")
    tables = [name for name in _HEADLINE_TABLES if name in found.tables]
    return {
        "path": str(found.path),
        "existing": existing,
        **{name: encode(getattr(found, name)) for name in (*fields, "findings", "refusals")},
        "across_headline": HEADLINE,
        "lacks": encode(found.lacks),
        **{name: found.table(name).to_dict("records") for name in tables},
    }


def _export(arguments: argparse.Namespace) -> int:
    from emoact.analysis.listing import read_analysis
    from emoact.analysis.steering import block_vectors, write_control_vector

    analysis = read_analysis(arguments.results, arguments.analysis)
    vectors = block_vectors(analysis, _folder(analysis, arguments.model), arguments.emotion)
    suffix = _FORMATS[arguments.format]
    out = Path(arguments.out or f"{vectors.emotion}_{vectors.folder}{suffix}")
    written = [str(out)]
    if arguments.format == "gguf":
        hint = arguments.model_hint or _model_type(vectors.model)
        write_control_vector(out, vectors, model_hint=hint)
    else:
        written.append(str(write_steering_vector(out, vectors)))
    for badge in analysis.badges:
        say(f"! {badge}")
    print_either({"files": written, **vectors.described}, arguments.json, *written)
    return 0


def write_steering_vector(path: Path, vectors: BlockVectors) -> Path:
    """Write a steering vector for torch, and a `.json` beside it; returns the latter.

    `SteeringVector(**torch.load(path, weights_only=True))` makes the vector. The library has no
    file format of its own; these are the two fields of its class, and loading them runs no code.
    Files that are there are replaced.

    Raises:
        EmoactError: A file cannot be written.
    """
    import torch

    from emoact.store.atomic import replace_atomically, write_json

    layers = {block: torch.from_numpy(vector.copy()) for block, vector in vectors.vectors.items()}
    with replace_atomically(path) as file:
        torch.save({"layer_activations": layers, "layer_type": "decoder_block"}, file)
    beside = path.with_suffix(".json")
    write_json(beside, {"model": vectors.model, "emotion": vectors.emotion, **vectors.described})
    return beside


def _folder(analysis: SavedAnalysis, asked: str | None) -> str:
    if asked is None and len(analysis.models) == 1:
        return analysis.models[0]
    if asked in analysis.models:
        return str(asked)
    said = "no model was named" if asked is None else f"it has no model {asked!r}"
    raise RequestError(
        f"analysis {analysis.id}: {said}; it has {', '.join(analysis.models)}",
        remedy="Name one with --model.",
    )


def _model_type(model: str) -> str:
    from emoact.models.registry import REGISTRY

    for spec in REGISTRY:
        if spec.hub_id == model:
            return _MODEL_TYPES[spec.family]
    raise RequestError(
        f"the model_type of {model} is not known, and a control vector names it",
        remedy="Name it with --model-hint, as config.json of the model does.",
    )
