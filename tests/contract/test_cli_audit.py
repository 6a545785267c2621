"""`emoact audit`: verdict, shape and exit code; what it finds is tested with the audit itself."""

import json

import pytest

from emoact.cli import main
from tests.support.stand_in_world import World


def test_the_shipped_prompts_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--dataset", "data/prompts.jsonl", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["ok"] is True
    assert {finding["severity"] for finding in document["findings"]} <= {"note"}
    assert "checking" in err


def test_a_confounded_data_set_is_exit_code_1(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"text": f"Thank you so very much for number {n}!", "emotion": "a"} for n in range(20)]
    rows += [{"text": f"No {n}.", "emotion": "b"} for n in range(20)]
    world.dataset.write_text("\n".join(json.dumps(row) for row in rows))
    assert main(["audit", "--dataset", str(world.dataset), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["findings"]
    assert main(["audit", "--dataset", str(world.dataset)]) == 1
    assert "WARNING" in capsys.readouterr().out
