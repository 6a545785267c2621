"""`emoact transfer`: directions and probes of one results folder, tested on another."""

from __future__ import annotations

import argparse
from typing import Any

from emoact.cli.output import print_json, print_line, say, write_table
from emoact.cli.parsing import add_command, add_options, add_sites, values_of
from emoact.sites import in_order, vector_sites

_EXAMPLE = """\
emoact transfer --from results --to results_goemotions
emoact transfer --from results --to results_goemotions --map apology=remorse --json"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "transfer",
        about="Test directions and probes of one data set on another data set of the same model, "
        "beside classifiers of the texts.",
        example=_EXAMPLE,
        run=_transfer,
    )
    for name, dest, about in (("--from", "source", "train on"), ("--to", "target", "test on")):
        about = f"results folder to {about}"
        parser.add_argument(name, dest=dest, metavar="RESULTS", required=True, help=about)
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="LABEL=LABEL",
        help="label of the first folder and its counterpart in the second; repeatable (default: "
        "labels of the same name)",
    )
    about = "folder of the model (default: the one that both have)"
    parser.add_argument("--model", metavar="NAME", help=about)
    add_sites(parser, vector_sites(), "; repeatable (default: resid_pre)")
    add_options(parser, "--pooling", "--neutral", "--seed", "--csv", "--json")


def _transfer(arguments: argparse.Namespace) -> int:
    from emoact.analysis.transfer import TransferRequest, compute_transfer
    from emoact.views.transfer import label_pairs, sentences

    sites = in_order(arguments.site or ("resid_pre",))
    found = compute_transfer(
        TransferRequest(
            **values_of(arguments, "source", "target", "model", "pooling", "neutral", "seed"),
            labels=label_pairs(" ".join(arguments.map)),
            sites=sites,
        )
    )
    said = [sentence for site in sites for sentence in sentences(found, site)]
    if arguments.json:
        print_json(
            {
                "from": arguments.source,
                "to": arguments.target,
                "labels": dict(found.labels),
                "left_out": list(found.left_out),
                "n_repeated": found.n_repeated,
                "n_shared_scenarios": found.n_shared_scenarios,
                "answer": said,
                **{name: table.to_dict("records") for name, table in found.tables.items()},
            }
        )
        return 0
    for sentence in dict.fromkeys(said):
        (say if arguments.csv else print_line)(sentence)
    if arguments.csv:
        write_table(found.tables["transfer"], arguments.csv, badges=())
    return 0
