import csv
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

from emoact.analysis.key import InputFile, analysis_id
from emoact.analysis.listing import list_analyses, read_analysis, saved_already
from emoact.analysis.save import save_analysis
from emoact.analysis.saved import FileState, SavedAnalysis
from emoact.analysis.sentences import badges_of
from emoact.analysis.verify import verify_analyses
from emoact.decode import sealed, unsealed
from emoact.errors import EmoactError, FileRefusedError, RequestError
from emoact.stats import catalogue
from emoact.stats.result import AnalysisResult
from emoact.store.layout import ResultsRoot
from tests.support.json_damage import change_document
from tests.support.planted_scenarios import FAST

Analysed = tuple[AnalysisResult, Sequence[InputFile]]


@pytest.fixture
def saved(root: ResultsRoot, analysed: Analysed) -> SavedAnalysis:
    return save_analysis(root, *analysed, run_id="r1")


def test_tables_read_back_as_computed(saved: SavedAnalysis, analysed: Analysed) -> None:
    tables = analysed[0].tables
    assert set(tables) == set(saved.tables)
    for name, table in tables.items():
        assert len(table) == saved.rows[name]
        assert saved.missing(name) == ()
        pd.testing.assert_frame_equal(saved.table(name), table, check_exact=True)


def test_all_files_and_folders_of_an_analysis_reach_the_disk(
    root: ResultsRoot, analysed: Analysed, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, synced = os.fsync, set()

    def spy(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    folder = save_analysis(root, *analysed).path
    made = (folder.parent, folder, *folder.rglob("*"))
    assert [path for path in made if path.stat().st_ino not in synced] == []


def test_a_table_without_rows_keeps_its_columns(root: ResultsRoot, analysed: Analysed) -> None:
    result, inputs = analysed
    tables = {**result.tables, "across": catalogue.frame("across", [])}
    changed = dataclasses.replace(result, tables=tables)
    frame = save_analysis(root, changed, inputs).table("across")
    assert len(frame) == 0
    assert frame.dtypes["layer_a"] == np.int64
    assert frame.dtypes["score_corr"] == np.float64


def state_of(path: Path) -> FileState:
    return FileState(size=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def rewrite(saved: SavedAnalysis, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Any:
    """Save a table as another version of emoact would, with its size and hash."""
    path = saved.path / "tables" / f"{name}.parquet"
    change(pd.read_parquet(path)).to_parquet(path)
    state = {f"tables/{name}.parquet": dataclasses.asdict(state_of(path))}
    change_document(saved.path / "analysis.json", lambda fields: fields["files"].update(state))
    return SavedAnalysis.open(saved.path)


def test_an_older_version_s_column_is_blank(saved: SavedAnalysis, analysed: Analysed) -> None:
    found = rewrite(saved, "strength", lambda table: table.drop(columns=["auroc", "n_emotion"]))
    assert found.missing("strength") == ("auroc", "n_emotion")
    assert found.missing("stability") == ()
    table, whole = found.table("strength"), analysed[0].tables["strength"]
    assert list(table) == list(whole)
    assert table["auroc"].isna().all()
    assert table["n_emotion"].isna().all()
    pd.testing.assert_series_equal(table["l2"], whole["l2"])


def test_a_newer_version_s_column_comes_last(saved: SavedAnalysis, analysed: Analysed) -> None:
    found = rewrite(saved, "strength", lambda table: table.assign(entropy=1.5)[::-1])
    table = found.table("strength")
    assert list(table) == [*analysed[0].tables["strength"], "entropy"]
    assert set(table["entropy"]) == {1.5}
    assert found.missing("strength") == ()


def test_a_table_without_the_columns_that_name_its_rows_is_refused(saved: SavedAnalysis) -> None:
    found = rewrite(saved, "strength", lambda table: table.drop(columns=["layer"]))
    with pytest.raises(FileRefusedError, match="it has no column layer"):
        found.table("strength")


def test_a_short_table_cannot_stand_for_gigabytes(
    saved: SavedAnalysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of its own, because a cache that remembers this content would keep the test from failing.
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    n_rows = 40_000_000
    path = saved.path / "tables" / "strength.parquet"
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, np.int32)), ["x" * 100])
    pq.write_table(pa.table({"model": column}), path, row_group_size=n_rows)
    assert path.stat().st_size < 1_000_000
    listed = rewrite(saved, "stability", lambda table: table)
    found = dataclasses.replace(
        listed, files={**listed.files, "tables/strength.parquet": state_of(path)}
    )
    with pytest.raises(FileRefusedError, match="more than 1,000,000,000 bytes in memory"):
        found.table("strength")
    # The others are still read.
    assert len(found.table("headline")) == found.rows["headline"]


@pytest.mark.parametrize("link", ["strength.parquet", "tables"])
def test_tables_outside_are_not_read(saved: SavedAnalysis, tmp_path: Path, link: str) -> None:
    tables = saved.path / "tables"
    place = tables if link == "tables" else tables / link
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileRefusedError, match="leads out of the folder"):
        saved.table("strength")


@pytest.mark.parametrize("size", [-5, 200_000_001, 2**62, 10**30])
def test_a_size_that_no_file_has_is_refused(saved: SavedAnalysis, size: int) -> None:
    change_document(
        saved.path / "analysis.json",
        lambda fields: fields["files"]["tables/strength.parquet"].update(size=size),
    )
    if 0 < size < 2**62:
        os.truncate(saved.path / "tables" / "strength.parquet", size)
    with pytest.raises(FileRefusedError, match=r"no such number|says that it has|10000"):
        SavedAnalysis.open(saved.path).table("strength")


def test_a_name_that_no_file_has_costs_its_analysis(saved: SavedAnalysis) -> None:
    state = {"size": 1, "sha256": "0" * 64}
    change_document(saved.path / "analysis.json", lambda f: f["files"].update({"a\0b": state}))
    (found,) = verify_analyses(ResultsRoot(saved.path.parent.parent))
    assert "a name that no file has" in found.message


def test_a_missing_table_is_named_with_the_command_that_makes_it(saved: SavedAnalysis) -> None:
    where = saved.path / "analysis.json"
    fields = json.loads(where.read_text())
    del fields["files"]["tables/stability.parquet"]
    fields["versions"]["emoact"] = "0.0.9"
    where.write_text(json.dumps(fields))
    found = SavedAnalysis.open(saved.path)
    assert "stability" not in found.tables
    with pytest.raises(RequestError, match=r"no table stability .*made by emoact 0\.0\.9") as error:
        found.table("stability")
    assert f"emoact analyze --results {saved.path.parent.parent}" in (error.value.remedy or "")
    assert len(found.table("strength")) == found.rows["strength"]


def test_an_analysis_of_a_newer_version_opens_with_what_is_known(saved: SavedAnalysis) -> None:
    where = saved.path / "analysis.json"
    fields = json.loads(where.read_text())
    fields["versions"]["emoact"] = "0.9.0"
    fields["settings"]["n_dreams"] = 3
    fields["heads"] = [1, 2]
    where.write_text(json.dumps(fields))
    found = SavedAnalysis.open(saved.path)
    assert found.settings == FAST
    assert len(found.table("headline")) == found.rows["headline"]


def test_csv_files_hold_the_rows_with_badges(saved: SavedAnalysis, analysed: Analysed) -> None:
    rows = analysed[0].tables["strength"]
    with (saved.path / "tables" / "strength.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == len(rows)
    assert [float(row["l2"]) for row in found] == list(rows["l2"])
    assert {row["badges"] for row in found} == {"; ".join(saved.badges)}
    assert "random weights" in found[0]["badges"]
    assert "other" in found[0]["badges"]


def test_directions_read_back_with_what_they_are(saved: SavedAnalysis, analysed: Analysed) -> None:
    result, inputs = analysed
    for key, direction in result.directions.items():
        found = saved.directions(key.model, key.site, None if key.main else key.kind)
        np.testing.assert_array_equal(found[key.emotion], direction.astype(np.float32))
    path = saved.path / "directions_gpt2_resid_pre.safetensors"
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        assert file.get_slice("anger").get_shape() == [3, 8]
    assert json.loads(metadata["contrast"])["anger"] == "mean(anger) - mean(neutral)"
    assert metadata["sign"] == "positive towards the emotion"
    assert metadata["pooling"] == "mean_content"
    assert metadata["site"] == "resid_pre"
    assert metadata["model"] == "gpt2"
    hashes = {each.emotion: each.sha256 for each in inputs if each.folder == "gpt2"}
    assert json.loads(metadata["inputs"]) == hashes
    assert json.loads(metadata["badges"]) == list(saved.badges)


def test_the_description_says_what_was_done(saved: SavedAnalysis, analysed: Analysed) -> None:
    result, inputs = analysed
    assert saved.settings == FAST
    assert saved.inputs == tuple(inputs)
    assert saved.id == analysis_id(inputs, FAST) == saved.path.name
    assert saved.models == ("gpt2", "other")
    assert saved.emotions == ("anger", "gratitude")
    assert saved.run_id == "r1"
    assert set(saved.sentences) == {"gpt2", "other"}
    assert "random" in saved.sentences["other"]
    assert "random" not in saved.sentences["gpt2"]
    assert saved.versions["numpy"] == np.__version__
    # Different widths: the raw cosine is refused, with the reason.
    assert [finding.code for finding in saved.refusals] == ["raw_cosine_refused"]
    assert "(8, 6)" in saved.refusals[0].message
    assert len(saved.findings) + len(saved.refusals) == len(result.findings)


def test_a_whole_analysis_is_found_and_left_alone(
    saved: SavedAnalysis, root: ResultsRoot, analysed: Analysed
) -> None:
    before = (saved.path / "analysis.json").stat().st_ino
    again = save_analysis(root, *analysed, run_id="r2")
    assert again.run_id == "r1"
    assert (saved.path / "analysis.json").stat().st_ino == before
    found = saved_already(root, analysed[1], FAST)
    assert found is not None
    assert found.id == saved.id
    assert [row.id for row in list_analyses(root)] == [saved.id]
    assert [path.name for path in root.analysis.iterdir()] == [saved.id]


def test_a_damaged_analysis_does_not_count_and_is_made_again(
    saved: SavedAnalysis, root: ResultsRoot, analysed: Analysed
) -> None:
    (saved.path / "tables" / "points.parquet").unlink()
    assert saved_already(root, analysed[1], FAST) is None
    again = save_analysis(root, *analysed, run_id="r2")
    again.check()
    assert again.run_id == "r2"
    assert [path.name for path in root.analysis.iterdir()] == [saved.id]


@pytest.mark.parametrize("name", ["../../private", "0" * 20])
def test_an_analysis_that_is_not_what_its_folder_says_is_refused(
    saved: SavedAnalysis, root: ResultsRoot, analysed: Analysed, name: str
) -> None:
    where = saved.path / "analysis.json"
    fields, _ = unsealed(json.loads(where.read_text()))
    where.write_text(json.dumps(sealed({**fields, "id": name})))
    with pytest.raises(FileRefusedError, match="another folder"):
        SavedAnalysis.open(saved.path)
    # Whatever names its folder by its id, to send it to object storage, would take another one.
    assert saved_already(root, analysed[1], FAST) is None


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _link(path: Path) -> None:
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)


def _read(saved: SavedAnalysis, name: str) -> None:
    if name.startswith("tables/"):
        saved.table("headline")
    else:
        saved.directions("gpt2", "mlp_out")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (Path.unlink, "is missing"),
        (lambda path: os.truncate(path, path.stat().st_size - 10), "truncated"),
        (_flip, "not what was written"),
        (_link, "symbolic link"),
    ],
)
@pytest.mark.parametrize("name", ["tables/headline.parquet", "directions_gpt2_mlp_out.safetensors"])
def test_a_harmed_file_is_told(saved: SavedAnalysis, harm: Any, said: str, name: str) -> None:
    harm(saved.path / name)
    with pytest.raises(FileRefusedError, match=said) as refused:
        _read(saved, name)
    assert name in refused.value.message
    assert "\n" not in refused.value.message
    assert "analyse again" in (refused.value.remedy or "")
    with pytest.raises(FileRefusedError, match=said):
        saved.check()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing"),
        ("", "not JSON"),
        ('{"schema_version": 1, "ki', "not JSON"),
        ("[1, 2]", "expected a JSON object"),
        ('{"schema_version": 1, "kind": "extract"}', "missing"),
        ('{"schema_version": 99, "kind": "analysis"}', "newer emoact"),
        ('{"schema_version": 1, "kind": "analysis"}', "missing"),
    ],
)
def test_a_description_that_is_not_ours_is_refused_and_listed_with_the_reason(
    saved: SavedAnalysis, root: ResultsRoot, content: str | None, said: str
) -> None:
    path = saved.path / "analysis.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(FileRefusedError, match=said):
        SavedAnalysis.open(saved.path)
    (row,) = list_analyses(root)
    assert row.id == saved.id
    assert said in (row.problem or "")
    with pytest.raises(RequestError, match="there is no analysis"):
        read_analysis(root.path)


def test_what_is_not_allowed_in_a_description_is_refused_by_name(saved: SavedAnalysis) -> None:
    path = saved.path / "analysis.json"
    fields = json.loads(path.read_text())
    settings = {**fields["settings"], "n_permutations": 5}
    for changed, said in (
        ({"settings": settings}, "n_permutations is 5"),
        ({"kind": "extract"}, "kind is 'extract'; allowed are analysis"),
    ):
        path.write_text(json.dumps({**fields, **changed}))
        with pytest.raises(FileRefusedError, match=said):
            SavedAnalysis.open(saved.path)


def test_what_the_analysis_does_not_have_is_named(saved: SavedAnalysis, root: ResultsRoot) -> None:
    with pytest.raises(RequestError, match="there are headline, strength"):
        saved.table("heads")
    with pytest.raises(RequestError, match="it has gpt2, other at resid_pre, mlp_out"):
        saved.directions("gpt3", "resid_pre")
    assert read_analysis(root.path, saved.id[:6]).id == saved.id
    with pytest.raises(RequestError, match="there is no analysis") as error:
        read_analysis(root.path, f"x{saved.id[1:]}")
    assert error.value.remedy == f"Did you mean {saved.id}?"


def test_nothing_is_left_when_the_disk_is_full(
    root: ResultsRoot, analysed: Analysed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("emoact.analysis.save.write_directions", full)
    with pytest.raises(EmoactError, match="full"):
        save_analysis(root, *analysed)
    assert list(root.analysis.iterdir()) == []
    assert list_analyses(root) == ()


def test_last_token_pooling_says_what_layer_zero_can_show(analysed: Analysed) -> None:
    result, _ = analysed
    pooled = dataclasses.replace(result.settings, pooling="last")
    badges = badges_of(dataclasses.replace(result, settings=pooled))
    assert any("lexical/positional only" in badge for badge in badges)
    assert not any("lexical" in badge for badge in badges_of(result))
