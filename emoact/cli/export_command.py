"""`emoact analyze export`: saved directions in the formats of other tools."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoact.cli.output import print_either, say
from emoact.cli.parsing import add_command, add_options
from emoact.errors import RequestError

if TYPE_CHECKING:
    from emoact.analysis.saved import SavedAnalysis
    from emoact.analysis.steering import BlockVectors

_FORMATS = {"gguf": ".gguf", "steering-vectors": ".pt"}
_MODEL_TYPES = {"GPT-2": "gpt2", "GPT-NeoX": "gpt_neox", "GPT-Neo": "gpt_neo", "Llama": "llama"}


def add(actions: Any) -> None:
    """Add the action to those of `emoact analyze`."""
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
