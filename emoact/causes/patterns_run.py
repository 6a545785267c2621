"""Attention patterns of saved prompts, in the process that has the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from emoact.causes.attention import SHARES, means_of, shares_of
from emoact.causes.heads_run import saved_model, saved_prompts, unit_prompts
from emoact.causes.patterns import FILE, KIND, PatternsWork, PatternWriter, bytes_of, rests_on
from emoact.causes.saved import cause_id, save_once
from emoact.decode import decode
from emoact.extraction.engine import EngineFor
from emoact.jobs.causes import CausesRequest
from emoact.jobs.reporter import RunReporter
from emoact.models.cache import hash_of
from emoact.sites import SiteName
from emoact.store.atomic import replace_atomically
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_named


def run_patterns(
    root: ResultsRoot, request: CausesRequest, reporter: RunReporter, engine_for: EngineFor
) -> None:
    """Compute and save what is asked for, unless it is on disk.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The model is not that of the files, or the disk failed.
    """
    work = decode(PatternsWork, request.asked, where="the request for attention patterns")
    unit = read_named(root, work.folder, work.unit)
    basis = rests_on(unit, work)
    name = cause_id(KIND, basis)

    def found() -> dict[str, Any]:
        engine = saved_model((unit,), request, reporter, engine_for)
        prompts, facts = saved_prompts(unit), engine.facts
        waiting: dict[int, list[np.ndarray]] = {}
        sums: np.ndarray | None = None
        n_tokens = done = 0
        path = root.causes_dir(name) / FILE
        need = bytes_of(unit.lengths, facts.n_layers, facts.n_heads, work.form)
        with replace_atomically(path, need=need) as file:
            writer = PatternWriter(file, work.form)

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

            def on_pass(samples: int, _tokens: int) -> None:
                nonlocal done
                done += samples
                reporter.check_cancelled()
                reporter.step(
                    "extract",
                    model=work.folder,
                    detail="attention patterns",
                    done=done,
                    total=len(prompts),
                    share=done / len(prompts),
                )

            engine.forward(prompts, put=put, on_pass=on_pass)
            writer.close()
        means = sums / n_tokens if sums is not None else np.empty((0, 3))
        layers, heads = np.divmod(np.arange(len(means)), facts.n_heads)
        return {
            "model": work.folder,
            "emotion": unit.emotion,
            "form": work.form,
            "n_prompts": len(prompts),
            "n_layers": facts.n_layers,
            "n_heads": facts.n_heads,
            "random_weights": facts.random_weights,
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

    save_once(root, KIND, basis, reporter, found)
