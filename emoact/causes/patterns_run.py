"""Attention patterns of saved prompts, in the process that has the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from emoact.causes.attention import SHARES, means_of, shares_of
from emoact.causes.loaded import Loaded, saved_prompts, unit_prompts
from emoact.causes.patterns import FILE, PATTERNS, PatternWriter, bytes_of
from emoact.causes.saved import cause_id
from emoact.extraction.engine import counted
from emoact.models.cache import hash_of
from emoact.sites import SiteName
from emoact.store.atomic import replace_atomically


def found_patterns(asked: Loaded) -> dict[str, Any]:
    """Write the patterns of a class, and give what is said of them.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The disk failed.
    """
    (unit,), request, reporter, facts = (
        asked.units,
        asked.request,
        asked.reporter,
        asked.engine.facts,
    )
    prompts = saved_prompts(unit)
    waiting: dict[int, list[np.ndarray]] = {}
    sums: np.ndarray | None = None
    n_tokens = 0
    path = (
        asked.root.causes_dir(cause_id(PATTERNS.name, PATTERNS.basis(request, asked.units))) / FILE
    )
    need = bytes_of(unit.lengths, facts.n_layers, facts.n_heads, request.form)
    with replace_atomically(path, need=need) as file:
        writer = PatternWriter(file, request.form)

        def put(_site: SiteName, _layer: int, sample: int, rows: np.ndarray) -> None:
            nonlocal sums, n_tokens
            waiting.setdefault(sample, []).append(rows.copy())
            if len(waiting[sample]) < facts.n_layers:
                return
            pattern = np.stack(waiting.pop(sample))
            writer.add(sample, pattern)
            content = prompts[sample].content
            own = means_of(shares_of(pattern), content)
            n = content[1] - content[0]
            added = own[list(SHARES)].to_numpy() * n
            sums = added if sums is None else sums + added
            n_tokens += n

        def tell(done: int) -> None:
            reporter.check_cancelled()
            reporter.step(
                "extract",
                model=request.model,
                detail="attention patterns",
                done=done,
                total=len(prompts),
                share=done / len(prompts),
            )

        asked.engine.forward(prompts, put=put, on_pass=counted(tell))
        writer.close()
    means = sums / n_tokens if sums is not None else np.empty((0, 3))
    layers, heads = np.divmod(np.arange(len(means)), facts.n_heads)
    return {
        "emotion": unit.emotion,
        "form": request.form,
        "n_prompts": len(prompts),
        "n_layers": facts.n_layers,
        "n_heads": facts.n_heads,
        "size": path.stat().st_size,
        "sha256": hash_of(path),
        "names": unit_prompts(unit),
        "strings": [list(prompt.strings) for prompt in prompts],
        "content": [list(prompt.content) for prompt in prompts],
        "heads": [
            {"layer": int(layer), "head": int(head), **dict(zip(SHARES, row, strict=True))}
            for layer, head, row in zip(layers, heads, means.tolist(), strict=True)
        ],
    }
