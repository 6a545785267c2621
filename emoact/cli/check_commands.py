"""`emoact verify` and `audit`: what is wrong with saved files, and confounds of a data set."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from emoact.cli.output import nothing_in, print_either, print_json, print_line, say
from emoact.cli.parsing import add_command, add_number, add_options
from emoact.errors import RequestError
from emoact.schema import Finding

if TYPE_CHECKING:
    from emoact.extraction.parity import ParityResult
    from emoact.store.verify import FilesReport


def add(commands: Any) -> None:
    """Add the commands."""
    verify = add_command(
        commands,
        "verify",
        about="Check hashes, contract and values of all files, and recompute a sample of prompts.",
        example="emoact verify --results results --samples 3",
        run=_verify,
    )
    add_options(verify, "--results")
    add_number(
        verify,
        "--samples",
        2,
        help="prompts per file to recompute one at a time through TransformerLens, where the model "
        "is installed; 0 leaves it out",
    )
    add_options(verify, "--seed", help="seed of the sample of prompts")
    add_options(verify, "--json")
    audit = add_command(
        commands,
        "audit",
        about="Audit a data set for confounds: length, punctuation, words, duplicates.",
        example="emoact audit --dataset data/prompts.jsonl",
        run=_audit,
    )
    add_options(audit, "--dataset")
    about = "installed model, to compare lengths in its tokens as well"
    audit.add_argument("--model", metavar="NAME|ID|PATH", help=about)
    add_options(audit, "--seed", help="seed of permutations and folds")
    add_options(audit, "--json")


def _verify(arguments: argparse.Namespace) -> int:
    from emoact.analysis.verify import NOT_COVERED, verify_analyses, verify_controls, verify_runs
    from emoact.causes.saved import verify_causes
    from emoact.store.layout import ResultsRoot
    from emoact.store.remote import remote_of
    from emoact.store.verify import is_ok, verify_files

    if arguments.samples < 0:
        raise RequestError(f"--samples is {arguments.samples}; 0 or more is allowed")
    report = verify_files(arguments.results, on_file=lambda path: say(f"checking {path}"))
    root = ResultsRoot(arguments.results)
    remote = remote_of(root)
    if not report.n_files and not report.findings and remote is None:
        raise nothing_in(arguments.results)
    parity, findings = _parity(report, arguments)
    say("checking runs, reports, analyses, control extractions and results about causes")
    checks = (verify_runs, verify_analyses, verify_controls, verify_causes)
    others = tuple(finding for check in checks for finding in check(root))
    objects: dict[str, str] = {}
    if remote is not None:
        # Also those of analyses and causes that could not be brought.
        objects = {error.path: error.reason for error in remote.pull()}
        objects |= {f"{remote.url}/{name}": why for name, why in remote.differing()}
    vanished = (
        Finding(code="object_differs", severity="error", where=name, message=why)
        for name, why in objects.items()
    )
    found = (*report.findings, *others, *findings, *vanished)
    ok = is_ok(found)
    if arguments.json:
        print_json(
            {
                "ok": ok,
                "findings": [finding.to_json() for finding in found],
                "files": report.n_files,
                "bytes": report.n_bytes,
                "not_covered": list(NOT_COVERED),
                "parity": [result.to_json() for result in parity],
            }
        )
    else:
        _print(report, found, parity, ok=ok)
        print_line(f"not covered: {'; '.join(NOT_COVERED)}")
    return 0 if ok else 1


def _parity(
    report: FilesReport, arguments: argparse.Namespace
) -> tuple[list[ParityResult], list[Finding]]:
    if not arguments.samples or not report.units:
        return [], []
    from emoact.models.effort import let_threads_sleep

    let_threads_sleep()
    say("importing torch to recompute a sample; --samples 0 skips this step")
    from emoact.extraction.parity import check_parity

    return check_parity(
        report.units,
        n_samples=arguments.samples,
        seed=arguments.seed,
        on_unit=lambda unit: say(f"recomputing {unit.folder} {unit.emotion}"),
    )


def _print(
    report: FilesReport, findings: tuple[Finding, ...], parity: list[ParityResult], *, ok: bool
) -> None:
    for finding in findings:
        print_line(f"{finding.severity}: {finding.where}: {finding.message}")
        if finding.remedy:
            print_line(f"  {finding.remedy}")
    for result in parity:
        worst = {site: max(layers) for site, layers in result.differences.items()}
        shown = ", ".join(f"{site} {value:.2g}" for site, value in worst.items())
        print_line(
            f"{result.folder} {result.emotion}: {len(result.samples)} prompts recomputed, largest "
            f"difference {shown} of the norm ({result.tolerance:.2g} allowed)"
        )
    verdict = "no problem found" if ok else "problems found"
    print_line(f"{report.n_files} files, {report.n_bytes / 1e6:,.0f} MB: {verdict}")


def _audit(arguments: argparse.Namespace) -> int:
    from emoact.cli.model_commands import installed
    from emoact.models.resolve import resolve_model
    from emoact.stats.audit import command

    model = arguments.model
    tokenizer_json = None if model is None else installed(resolve_model(model)) / "tokenizer.json"
    report = command.run(
        arguments.dataset,
        seed=arguments.seed,
        tokenizer_json=tokenizer_json,
        on_step=lambda step: say(f"checking {step}"),
    )
    print_either(report.to_json(), arguments.json, *command.lines_of(report))
    return 0 if report.ok else 1
