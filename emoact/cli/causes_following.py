"""Answers of `heads`, `ablate` and `steer`: a result that is there, or a run that makes it."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import TYPE_CHECKING

from emoact.cli.following import start_and_follow
from emoact.cli.output import print_json, print_line, say, write_table

if TYPE_CHECKING:
    import pandas as pd

    from emoact.causes.prepared import Prepared
    from emoact.causes.saved import SavedCause
    from emoact.jobs.views import RunView


def answer(prepared: Prepared, words: ModuleType, arguments: argparse.Namespace) -> int:
    """Print the result; where there is none yet, start its run and follow it.

    `words` shows the kind of result: `sentences_of` and `table_of`.
    """
    from emoact.causes.saved import read_cause
    from emoact.jobs.launch import start
    from emoact.store.layout import ResultsRoot

    if prepared.existing is not None:
        _print(prepared.existing, words, arguments)
        return 0
    say(prepared.cost)

    def finish(view: RunView) -> None:
        found = read_cause(ResultsRoot(arguments.results), prepared.kind, prepared.id)
        if found is not None:
            _print(found, words, arguments)
        else:
            say(f"{view.made[0].path} is gone")

    return start_and_follow(
        arguments.results,
        prepared.config.run_id,
        lambda: start(prepared.config),
        detach=arguments.detach,
        as_json=arguments.json,
        finish=finish,
    )


def _print(saved: SavedCause, words: ModuleType, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print_json({**saved.document, "sentences": words.sentences_of(saved)})
        return
    for sentence in words.sentences_of(saved):
        say(sentence) if arguments.csv else print_line(sentence)
    table: pd.DataFrame = words.table_of(saved)
    write_table(table, arguments.csv)
