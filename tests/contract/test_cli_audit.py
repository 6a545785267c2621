"""`emoact audit`: verdict, shape and exit code; what it finds is tested with the audit itself."""

import json

from tests.support.stand_in_world import World
from tests.support.typed import Typed


def test_the_shipped_prompts_pass(typed: Typed) -> None:
    out, err = typed("audit", "--dataset", "data/prompts.jsonl", "--json")
    document = json.loads(out)
    assert document["ok"] is True
    assert {finding["severity"] for finding in document["findings"]} <= {"note"}
    assert "checking" in err


def test_a_confounded_data_set_is_exit_code_1(world: World, typed: Typed) -> None:
    rows = [{"text": f"Thank you so very much for number {n}!", "emotion": "a"} for n in range(20)]
    rows += [{"text": f"No {n}.", "emotion": "b"} for n in range(20)]
    world.dataset.write_text("\n".join(json.dumps(row) for row in rows))
    document = typed("audit", "--dataset", world.dataset, "--json", code=1).json
    assert document["ok"] is False
    assert document["findings"]
    assert "WARNING" in typed("audit", "--dataset", world.dataset, code=1).out
