"""The user's own code that a study's settings name is tried before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_studies import NO_DATA, write_study

from searchlab.config.loading import load_study
from searchlab.config.named_code import list_references
from searchlab.errors import InputError
from searchlab.study.preparation.prepared_study import check_study

SPACE = {"parameters": {"lr": 0.01, "optimizer": ["adam", "torch.optim:RAdam"], "family": "fcn"}}
ROW = {"name": "own", "architecture": "a2", "training": {"loss": "math:sqrt"}}


@pytest.mark.parametrize(
    ("changes", "place", "rule"),
    [
        ({"training": {"optimizer": "lost:X"}}, "training.optimizer", "cannot be imported"),
        ({"training": {"loss": "math:sqrt"}}, "training.loss", "raised TypeError"),
        ({"training": {"step": "fractions:Fraction"}}, "training.step", "begin is missing"),
        (
            {"training": {"optimizer_arguments": {"beta": 1}}},
            "training.optimizer",
            "cannot be made: .*'beta'",
        ),
        (
            {"space": SPACE, "training": {"optimizer_arguments": {"amsgrad": True}}},
            "space.parameters.optimizer",
            "'amsgrad'",
        ),
        (
            {"training": {"optimizer": "torch.optim:RAdam", "loss": "math:sqr"}},
            "training.loss",
            "has no class or function",
        ),
        ({"baselines": {"rows": [ROW]}}, "baselines.rows.0.training.loss", "raised TypeError"),
    ],
    ids=str,
)
def test_code_that_cannot_be_used_is_refused_at_its_place(
    changes: dict[str, Any], place: str, rule: str, tmp_path: Path
) -> None:
    file = load_study(write_study(tmp_path, **changes))
    with pytest.raises(InputError, match=rf"\d+: {place} .*{rule}"):
        check_study(file, data_dir=NO_DATA)


def test_all_code_that_a_study_names_is_listed(tmp_path: Path) -> None:
    changes = {"space": SPACE, "baselines": {"rows": [ROW]}, "training": {"loss": "a.b:c"}}
    spec = load_study(write_study(tmp_path, **changes)).spec
    assert list_references(spec) == {
        "a.b:c": "loss",
        "math:sqrt": "loss",
        "torch.optim:RAdam": "optimizer",
    }
    check_study(load_study(write_study(tmp_path, space=SPACE)), data_dir=NO_DATA)
