"""A tiny Gemma 3 as a GGUF file, in two wheels and one with terms, as the real one is packaged."""

import dataclasses
import hashlib
import itertools
import json
import pickle
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quantize

from emoact.models import registry
from emoact.models.registry import ModelSpec, PackagedModel, Wheel
from emoact.models.source import Terms

ROOT = Path(__file__).resolve().parents[2]
NAME = "gemma-3-270m"
"""Short name of the model that is replaced by the tiny one."""
N_LAYERS, WIDTH, HEAD, FEED, CONTEXT = 7, 64, 32, 96, 256
_Q8 = GGMLQuantizationType.Q8_0


def write_gguf(
    path: Path, *, architecture: str = "gemma3", seed: int = 0, n_tokens: int = 0
) -> Path:
    """A seeded model with a vocabulary of bytes, characters and pairs, and unused tokens."""
    rng = np.random.default_rng(seed)
    tokens, types = _vocabulary()
    unused = [f"<unused{number}>" for number in range(n_tokens - len(tokens))]
    tokens, types = [*tokens, *unused], [*types, *[types[0]] * len(unused)]
    writer = GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(N_LAYERS)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_sliding_window(16)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(position) for position in range(len(tokens))])
    writer.add_token_types(types)
    writer.add_pad_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)

    def add(name: str, *shape: int) -> None:
        values = (0.1 * rng.normal(size=shape)).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, 1 + values)
        else:
            writer.add_tensor(name, quantize(values, _Q8), raw_dtype=_Q8)

    add("token_embd.weight", len(tokens), WIDTH)
    add("output_norm.weight", WIDTH)
    for layer in range(N_LAYERS):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm"):
            if architecture == "gemma3" or not norm.startswith("post"):
                add(f"{block}.{norm}.weight", WIDTH)
        if architecture == "gemma3":
            add(f"{block}.attn_q_norm.weight", HEAD)
            add(f"{block}.attn_k_norm.weight", HEAD)
        add(f"{block}.attn_q.weight", 2 * HEAD, WIDTH)
        add(f"{block}.attn_k.weight", HEAD, WIDTH)
        add(f"{block}.attn_v.weight", HEAD, WIDTH)
        add(f"{block}.attn_output.weight", WIDTH, 2 * HEAD)
        add(f"{block}.ffn_gate.weight", FEED, WIDTH)
        add(f"{block}.ffn_up.weight", FEED, WIDTH)
        add(f"{block}.ffn_down.weight", WIDTH, FEED)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary() -> tuple[list[str], list[int]]:
    lines = (ROOT / "data" / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    text = "\n".join(json.loads(line)["text"] for line in lines).replace(" ", "▁")
    pairs = Counter(first + second for first, second in itertools.pairwise(text))
    common = [pair for pair, _ in pairs.most_common(60) if "\n" not in pair]
    specials = ["<pad>", "<eos>", "<bos>", "<unk>"]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    words = common + sorted(set(text) - {"\n"})
    types = [TokenType.CONTROL] * 3 + [TokenType.UNKNOWN]
    types += [TokenType.BYTE] * len(bytes_) + [TokenType.NORMAL] * len(words)
    return specials + bytes_ + words, [int(kind) for kind in types]


def write_wheels(folder: Path, *, seed: int = 0) -> PackagedModel:
    """Three wheels in a folder that pip can find them in: terms, and two pieces of a GGUF file."""
    folder.mkdir(parents=True, exist_ok=True)
    gguf = write_gguf(folder / "tiny.gguf", seed=seed)
    whole = gguf.read_bytes()
    gguf.unlink()
    middle = len(whole) // 2
    wheels = [
        write_wheel(folder, "tiny-gemma", {"tiny_gemma/TERMS.html": b"<p>terms</p>"}),
        write_wheel(folder, "tiny-gemma-part1", {"tiny_gemma_part1/p0": whole[:middle]}),
        write_wheel(folder, "tiny-gemma-part2", {"tiny_gemma_part2/p1": whole[middle:]}),
    ]
    return PackagedModel(
        wheels=tuple(wheels),
        gguf="tiny.gguf",
        gguf_sha256=hashlib.sha256(whole).hexdigest(),
        source="dequantised from Q8_0 (a tiny model of the tests)",
        terms=Terms(
            name="Tiny Terms of Use", url="https://example.org", members=("tiny_gemma/TERMS.html",)
        ),
    )


def write_wheel(folder: Path, package: str, files: dict[str, bytes]) -> Wheel:
    """A wheel with these files; the last one is the piece of a package that is a part."""
    module = package.replace("-", "_")
    information = f"{module}-1.0.0.dist-info"
    path = folder / f"{module}-1.0.0-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0.0\n"
    wheel = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{information}/METADATA", metadata)
        archive.writestr(f"{information}/WHEEL", wheel)
        archive.writestr(f"{information}/RECORD", "")
    piece, content = list(files.items())[-1]
    is_part = "part" in package
    return Wheel(
        package=package,
        version="1.0.0",
        n_bytes=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        piece=piece if is_part else "",
        piece_sha256=hashlib.sha256(content).hexdigest() if is_part else "",
    )


def registry_of(model: PackagedModel) -> tuple[ModelSpec, ...]:
    """The registry, with the tiny model in place of Gemma 3."""
    return tuple(
        dataclasses.replace(spec, packaged=model) if spec.name == NAME else spec
        for spec in registry.REGISTRY
    )


def pip_environment(folder: Path) -> dict[str, str]:
    """Environment in which pip finds the wheels of a folder and nothing else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": "/dev/null"}


def registry_for_processes(folder: Path, model: PackagedModel) -> dict[str, str]:
    """Environment in which every Python process has the tiny model in its registry."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "registry.pickle").write_bytes(pickle.dumps(registry_of(model)))
    (folder / "sitecustomize.py").write_text(
        "import pathlib, pickle\n"
        "from emoact.models import registry\n"
        "stored = pathlib.Path(__file__).with_name('registry.pickle')\n"
        "registry.REGISTRY = pickle.loads(stored.read_bytes())\n"
    )
    return {"PYTHONPATH": f"{folder}:{ROOT}"}
