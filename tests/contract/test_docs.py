"""Documents say what is true: tables come from the code, and code blocks run."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from emoact import read_analysis
from emoact.cli.entry import build_parser
from emoact.sites import words as site_words
from emoact.store.convert import convert
from scripts import write_docs, write_findings
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import plant_scenarios

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Every code block of a language, with the document that holds it."""
    for name in sorted(DOCUMENTS):
        text = (ROOT / name).read_text(encoding="utf-8")
        for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL):
            yield name, block


def commands() -> list[tuple[str, str]]:
    """Every line of a shell block that calls emoact, without its comment."""
    found = []
    for name, block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and ("=" in words[0] or words[0] in ("python", "-m")):
                words = words[1:]
            if words[:1] == ["emoact"]:
                found.append((name, shlex.join(words[1:])))
    return found


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds results as the examples expect them."""
    folder = tmp_path_factory.mktemp("template")
    results = folder / "results"
    emotions = ("anger", "gratitude", "neutral")
    plant_scenarios(results, "smollm2-135m", emotions, n_layers=14)
    plant_analysis(results)
    (pickled,) = results.glob("activations/*/activations_anger.pkl")
    convert(pickled, to="compact", out=folder / "activations_anger.zarr.zip")
    return folder


@pytest.fixture
def planted(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the current folder."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("document", "number"),
    [
        (document, number)
        for number, (document, block) in enumerate(blocks("python"))
        if "import" in block
    ],
)
def test_python_blocks_run(document: str, number: int, planted: Path) -> None:
    name, block = list(blocks("python"))[number]
    assert name == document
    exec(compile(block, f"{document} block {number}", "exec"), {"__name__": "example"})
    assert planted.is_dir()


@pytest.mark.parametrize(("document", "line"), commands())
def test_shell_lines_are_commands_with_options_that_exist(document: str, line: str) -> None:
    assert document in DOCUMENTS
    assert build_parser().parse_words(shlex.split(line)).run is not None


def test_tables_are_what_the_code_says() -> None:
    assert write_docs.main(["--check"]) == 0


def test_a_table_that_is_out_of_date_is_written_anew() -> None:
    begin, end = "<!-- commands: written by scripts/write_docs.py -->\n", "<!-- end of commands -->"
    assert write_docs.written(f"a\n{begin}old\n{end}\nb").startswith(f"a\n{begin}| command |")
    assert write_docs.written(f"{begin}{end}").endswith(f"|\n{end}")


def test_the_findings_are_written_between_their_markers_from_the_analysis(planted: Path) -> None:
    before = (ROOT / "README.md").read_text()
    readme = planted / "README.md"
    readme.write_text(before)
    words = ["--results", str(planted / "results"), "--readme", str(readme)]
    write_findings.main(words)
    once = readme.read_text()
    head, _, rest = once.partition(write_findings.BEGIN)
    section, _, tail = rest.partition(write_findings.END)
    assert before.startswith(head)
    assert before.endswith(tail)
    rows = read_analysis(planted / "results").table("headline").to_dict("records")
    for row in rows:
        cell = f"{100 * row['balanced_accuracy']:.0f} % [{100 * row['balanced_low']:.0f}, "
        (line,) = (
            line
            for line in section.splitlines()
            if line.startswith(f"| {row['model']} | {row['emotion']} | {site_words(row['site'])} |")
        )
        assert cell in line
        assert str(row["verdict"]).replace("_", " ") in line
    text = section.split("\n\n")[1]
    assert len(re.findall(r"\.(?=\s)", text)) <= 6
    write_findings.main(words)
    assert readme.read_text() == once
    readme.write_text("no markers")
    with pytest.raises(SystemExit, match="each marker once"):
        write_findings.main(words)


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"`emoact (\w+)`", text))
    usage = build_parser().format_help()
    assert shown == set(re.findall(r"^    (\w+)(?=\s{2,})", usage, re.MULTILINE))


@pytest.mark.parametrize(
    ("document", "heading"),
    [
        ("security.md", "What is promised"),
        ("security.md", "What was found"),
        ("security.md", "What was found later"),
        ("methods.md", "What went wrong before, and its test"),
        ("dashboard.md", "Found in use"),
    ],
)
def test_rows_of_promises_and_mistakes_name_existing_tests(document: str, heading: str) -> None:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert rows
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row)
        assert named, row
        # A finding has a test, and not a file of them.
        assert heading == "What is promised" or all(test for _, test in named), row
        for file, test in named:
            assert (ROOT / file).is_file(), file
            assert not test or f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), test
