"""Attention patterns of saved prompts on disk: the request, its size beforehand, the files.

Of a pattern the lower triangle is kept, as float16; the rest is 0. Where all of them would take
more than the budget, only what describes each query is kept.
"""

from __future__ import annotations

import dataclasses
import io
import math
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, get_args

import numpy as np
from jaxtyping import Float, Float16

from emoact import numbers
from emoact.causes.asked import option
from emoact.causes.attention import SHARES, shares_of
from emoact.causes.chosen import CauseRequest
from emoact.causes.prepared import Kind, time_of
from emoact.causes.saved import ARCHIVE, SavedCause
from emoact.errors import FileRefusedError, RequestError
from emoact.files import open_regular
from emoact.models.alike import ModelRequest, installed_source
from emoact.positions import Span
from emoact.store.atomic import free_bytes
from emoact.store.unit import Unit

if TYPE_CHECKING:
    import pandas as pd

FILE = ARCHIVE
BUDGET_MB = 1_000
"""Megabytes above which patterns are reduced, unless another budget is given."""

N_KEYS = 8
"""Keys of each query that a reduced pattern keeps."""

Form = Literal["triangles", "reduced"]
FORMS: tuple[Form, ...] = get_args(Form)
_HALF = 2
_LARGEST = 4_000_000_000
"""Bytes of the pattern of one prompt, which is read as a whole."""

_DTYPES = (np.dtype(np.float16), np.dtype(np.uint16))
_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
)
_DIRECTORY = 64_000_000
"""Bytes of the list of files at the end of an archive; one of 100,000 prompts has 32 MB."""
_OVERHEAD = 1_000
"""Bytes of the header of an array and of its entry in the archive."""


@dataclass(frozen=True, kw_only=True)
class PatternsRequest(CauseRequest):
    """A request from the command line or a page; patterns of more than `budget_mb` are reduced."""

    emotion: str = option("--emotion", names=False)
    budget_mb: int = option("--budget", BUDGET_MB, least=0, names=False)
    form: Form = "triangles"

    @property
    def labels(self) -> tuple[str]:
        """The class whose prompts are read."""
        return (self.emotion,)


def bytes_of(lengths: Sequence[int], n_layers: int, n_heads: int, form: Form) -> int:
    """Bytes that patterns of prompts of these lengths take."""
    maps = n_layers * n_heads
    if form == "triangles":
        numbers_kept = sum(n * (n + 1) // 2 for n in lengths)
        return maps * _HALF * numbers_kept + _OVERHEAD * len(lengths)
    a_query = _HALF * (len(SHARES) + 2 * N_KEYS)
    return maps * a_query * sum(lengths) + 5 * _OVERHEAD * len(lengths)


def _check(
    request: PatternsRequest, units: Sequence[Unit]
) -> tuple[PatternsRequest, ModelRequest, str]:
    """Choose the form by its size; `RequestError` where the disk has no room, reduced as well."""
    (unit,) = units
    model = request.model_of(units, "pattern")
    shape = installed_source(model).shape
    if shape is None:
        raise RequestError(f"the number of heads of {model.model} is not known before it is loaded")
    sizes: dict[Form, int] = {
        form: bytes_of(unit.lengths, shape.n_layers, shape.n_heads, form) for form in FORMS
    }
    free = free_bytes(request.root.path)
    form, why = form_for(sizes, request.budget_mb * 1_000_000, free)
    n_tokens = float(sum(unit.lengths))
    cost = f"One pass over {unit.n_samples:,} prompts with {n_tokens:,.0f} tokens"
    cost += f"{time_of(n_tokens, model)}, {numbers.size(sizes[form])} of disk. {why}"
    return dataclasses.replace(request, form=form), model, cost.strip()


def form_for(sizes: Mapping[Form, int], budget: int, free: int | None) -> tuple[Form, str]:
    """Form in which the patterns are kept, with the reason where they are reduced.

    Raises:
        RequestError: The disk has no room.
    """
    whole = numbers.size(sizes["triangles"])
    reduced = f"they are reduced to entropy, masses and the {N_KEYS} largest weights of a query."
    least = min(sizes.values())
    if free is not None and least > free:
        raise RequestError(
            f"the patterns take {numbers.size(least)}, reduced where that is less, and "
            f"{numbers.size(free)} of disk are free",
            remedy="Make room, or take a class with fewer prompts.",
        )
    if sizes["reduced"] >= sizes["triangles"]:
        # Of short prompts; the budget could not be kept either way.
        return "triangles", ""
    if sizes["triangles"] > budget:
        return "reduced", f"Whole patterns take {whole}, more than the budget: {reduced}"
    if free is not None and sizes["triangles"] > free:
        return "reduced", f"Whole patterns take {whole}, more than is free: {reduced}"
    return "triangles", ""


def packed(pattern: Float[np.ndarray, "layer head query key"], form: Form) -> dict[str, np.ndarray]:
    """The arrays of one prompt that are kept."""
    if form == "triangles":
        rows, columns = np.tril_indices(pattern.shape[-1])
        return {"pattern": pattern[..., rows, columns].astype(np.float16)}
    n_keys = min(N_KEYS, pattern.shape[-1])
    keys = np.argsort(-pattern, axis=-1, kind="stable")[..., :n_keys]
    return {
        "keys": keys.astype(np.uint16),
        "weights": np.take_along_axis(pattern, keys, axis=-1).astype(np.float16),
        **{name: each.astype(np.float16) for name, each in shares_of(pattern).items()},
    }


def unpacked(arrays: Mapping[str, np.ndarray]) -> Float16[np.ndarray, "layer head query key"]:
    """The pattern of one prompt; of a reduced one the weights that were not kept are 0."""
    if "pattern" in arrays:
        flat = arrays["pattern"]
        n = int((np.sqrt(8 * flat.shape[-1] + 1) - 1) / 2)
        pattern = np.zeros((*flat.shape[:-1], n, n), np.float16)
        rows, columns = np.tril_indices(n)
        pattern[..., rows, columns] = flat
        return pattern
    weights = arrays["weights"]
    pattern = np.zeros((*weights.shape[:-1], weights.shape[-2]), np.float16)
    np.put_along_axis(pattern, arrays["keys"].astype(np.int64), weights, axis=-1)
    return pattern


class PatternWriter:
    """An archive to which the arrays of one prompt after the other are added."""

    def __init__(self, file: Any, form: Form) -> None:
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._form = form

    def add(self, sample: int, pattern: Float[np.ndarray, "layer head query key"]) -> None:
        """Write the pattern of one prompt."""
        for name, array in packed(pattern, self._form).items():
            with self._archive.open(f"{sample}/{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)

    def close(self) -> None:
        """Write the end of the archive."""
        self._archive.close()


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadPattern:
    """The pattern of one saved prompt.

    Attributes:
        content: Positions of the text.
        pattern: Weights; of a reduced one the largest of each query.
        shares: `entropy`, `first_mass` and `previous_mass` of `[layer, head, query]` of a reduced
            pattern, whose weights do not give them; else empty.
    """

    strings: tuple[str, ...]
    content: Span
    pattern: Float16[np.ndarray, "layer head query key"]
    shares: Mapping[str, np.ndarray]


def read_pattern(saved: SavedCause, sample: int) -> ReadPattern:
    """The pattern of one prompt, read without the others.

    Raises:
        FileRefusedError: The file is gone, or is not what was written.
    """
    found = saved.found
    path = saved.path.parent / FILE
    try:
        strings = tuple(map(str, found["strings"][sample]))
        first, after = (int(each) for each in found["content"][sample])
        shape = (found["n_layers"], found["n_heads"], len(strings), len(strings))
        if not 0 <= first <= after <= len(strings) or _HALF * math.prod(shape) > _LARGEST:
            raise ValueError("of no prompt that was read")
        most = bytes_of([len(strings)], found["n_layers"], found["n_heads"], found["form"])
        with open_regular(path, follow=False) as file:
            if os.fstat(file.fileno()).st_size != found["size"]:
                raise ValueError("they are not as written")
            arrays = dict(_members(file, sample, most))
        if any(
            array.shape[: array.ndim - 1] != shape[: array.ndim - 1] for array in arrays.values()
        ):
            raise ValueError("they are not as written")
        pattern = unpacked(arrays)
        if pattern.shape != shape:
            raise ValueError("they are not as written")
    except _DAMAGE as error:
        raise FileRefusedError(
            f"patterns cannot be read: {error}",
            path=str(path),
            remedy="Delete its folder; it is then computed again.",
        ) from error
    return ReadPattern(
        strings=strings,
        content=(first, after),
        pattern=pattern,
        shares={name: arrays[name] for name in SHARES if name in arrays},
    )


def _members(file: BinaryIO, sample: int, most: int) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays of one prompt; no header is believed that says more than the file holds."""
    with zipfile.ZipFile(_Short(file, most + _DIRECTORY)) as archive:
        for info in archive.infolist():
            folder, _, name = info.filename.partition("/")
            if folder != str(sample):
                continue
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
                raise ValueError(f"{info.filename} has {info.file_size:,} bytes")
            data = io.BytesIO(archive.read(info))
            if np.lib.format.read_magic(data) != (1, 0):
                raise ValueError(f"{info.filename} has another header")
            shape, in_columns, dtype = np.lib.format.read_array_header_1_0(data)
            values = data.getbuffer()[data.tell() :]
            if (
                in_columns
                or dtype not in _DTYPES
                or dtype.itemsize * math.prod(shape) != len(values)
            ):
                raise ValueError(f"{info.filename} is not as written")
            yield name.removesuffix(".npy"), np.frombuffer(values, dtype).reshape(shape)


class _Short:
    """A file of which no more than a limit is read at once, as its list of files would be."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        left = os.fstat(self._file.fileno()).st_size - self._file.tell()
        wanted = left if size < 0 else min(left, size)
        if wanted > self._most:
            raise ValueError(f"they have a part of {wanted:,} bytes")
        return self._file.read(size)


def table_of(saved: SavedCause) -> pd.DataFrame:
    """Means of every head over the tokens of all prompts."""
    import pandas as pd

    return pd.DataFrame(saved.found["heads"])


def sentences_of(saved: SavedCause) -> list[str]:
    """Answer of a result in sentences, each with its figures."""
    found, table = saved.found, table_of(saved)
    resting = int((table["first_mass"] > 0.5).sum())
    said = [
        f"Patterns of {numbers.plural(found['n_prompts'], 'prompt')} of {found['emotion']} take "
        f"{numbers.size(found['size'])} ({found['form']}); {resting} of {len(table)} heads have "
        "more than half of their weight on the first position."
    ]
    return said + saved.cautions


PATTERNS = Kind(
    name="attention",
    version=1,
    request=PatternsRequest,
    check=_check,
    table=table_of,
    sentences=sentences_of,
)
