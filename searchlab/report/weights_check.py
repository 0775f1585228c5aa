"""The initial weights of a study's baselines: rebuilt, checked against each other, and saved.

Report 000 section 3 and report 002 section III print the norms before anything is trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from searchlab.analysis.initial_weights import (
    InitialWeights,
    LayerComparison,
    compare_grid,
    compare_with_saved,
)
from searchlab.config.baselines import BaselineRow
from searchlab.config.settings import TrainingSettings
from searchlab.config.study import StudySpec
from searchlab.config.trial import ModelConfig
from searchlab.data import describe_dataset
from searchlab.errors import InputError, SearchlabError
from searchlab.models import ImageShape, get_family
from searchlab.models.build import build_model
from searchlab.models.initialisation import layer_of_schemes
from searchlab.models.saved_weights import (
    FULL,
    FoldKey,
    copy_weights,
    describe_difference,
    initial_weights_path,
    read_initial_weights,
    save_initial_weights,
)
from searchlab.study.preparation.prepared_study import open_space, request_data
from searchlab.study.trial_config import model_at, settings_at

__all__ = ["BaselineGrid", "MemberCheck", "SavedFile", "require_all_ok"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberCheck:
    """The comparisons of one member: a fold's models, or those of the whole training set."""

    member: FoldKey
    comparisons: tuple[LayerComparison, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFile:
    """A file of initial weights; ``kept`` if it was there before, with the same weights."""

    path: Path
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    row: BaselineRow
    model: ModelConfig
    settings: TrainingSettings


class BaselineGrid:
    """A study's architectures x schemes, whose initial weights can be drawn again at any time.

    They derive from the study's seed and the member alone, so this is what the run's
    own baselines began with, unless the study names a folder of saved weights. Raises InputError
    for a study without a grid of baselines.
    """

    def __init__(self, spec: StudySpec, *, data_dir: Path) -> None:
        if not spec.baseline_grid:
            raise InputError(
                "has no baselines, so no initial weights to compare or save",
                where=f"study {spec.name}",
                remedy="Name architectures under baselines",
            )
        self.spec = spec
        self._image_shape, self._num_classes = _shape_of(spec, data_dir)
        self._cells = _list_cells(spec)

    @property
    def members(self) -> tuple[FoldKey, ...]:
        """Every member that a baseline trains: all folds, and the whole training set."""
        return (*range(self.spec.validation.folds), FULL)

    def parse_member(self, text: str) -> FoldKey:
        """Read a member as ``--fold`` names it. Raises InputError."""
        for member in self.members:
            if text == str(member):
                return member
        raise InputError(
            f"must be a fold from 0 to {self.spec.validation.folds - 1}, or {FULL}",
            where="--fold",
            found=text,
        )

    def check(self, member: FoldKey, *, folder: Path | None = None) -> MemberCheck:
        """Compare a member's weights over the grid, and with the files of a folder if given.

        Raises InputError for a file that is missing or cannot be read.
        """
        grid = [self._rebuild(cell, member) for cell in self._cells]
        comparisons = compare_grid(grid)
        for weights in grid if folder is not None else ():
            assert folder is not None
            path = initial_weights_path(folder, weights.architecture, weights.scheme, member)
            comparisons += compare_with_saved(weights, read_initial_weights(path))
        return MemberCheck(member=member, comparisons=tuple(comparisons))

    def save(self, folder: Path, members: tuple[FoldKey, ...]) -> Iterator[SavedFile]:
        """Write the files that a folder lacks, one by one; those that are there are kept.

        Raises InputError, before anything is written, for a file with other weights.
        """
        for cell, member, path in self._files(folder, members):
            if path.exists():
                self._require_same(cell, member, path)
        for cell, member, path in self._files(folder, members):
            kept = path.exists()
            if not kept:
                model = self._build(cell, member)
                save_initial_weights(model, path, config=cell.model, key=self._key(member))
            yield SavedFile(path=path, kept=kept)

    def _files(
        self, folder: Path, members: tuple[FoldKey, ...]
    ) -> Iterator[tuple[_Cell, FoldKey, Path]]:
        for cell in self._cells:
            for member in members:
                row = cell.row
                path = initial_weights_path(folder, row.architecture, row.scheme, member)
                yield cell, member, path

    def _require_same(self, cell: _Cell, member: FoldKey, path: Path) -> None:
        rebuilt = self._rebuild(cell, member).weights
        difference = describe_difference(rebuilt, read_initial_weights(path))
        if difference is not None:
            raise InputError(
                f"holds other weights than study {self.spec.name} begins with: {difference}",
                where=str(path),
                remedy="It is kept and nothing was written; save to another folder with --to",
            )

    def _rebuild(self, cell: _Cell, member: FoldKey) -> InitialWeights:
        family = get_family(cell.row.architecture)
        model = self._build(cell, member)
        return InitialWeights(
            architecture=cell.row.architecture,
            scheme=cell.row.scheme,
            first_layer=layer_of_schemes(model, family),
            weights=copy_weights(model),
            loads_weights=family.finish is not None,
        )

    def _build(self, cell: _Cell, member: FoldKey) -> nn.Module:
        return build_model(
            cell.model,
            cell.settings,
            image_shape=self._image_shape,
            num_classes=self._num_classes,
            key=self._key(member),
        )

    def _key(self, member: FoldKey) -> tuple[str | int, ...]:
        return (self.spec.search.seed, member, 0)  # repeat 0: the key of training.member


def require_all_ok(checks: list[MemberCheck]) -> None:
    """Raise SearchlabError naming the first comparison that is off, InputError if there is none."""
    rows = [(check.member, row) for check in checks for row in check.comparisons]
    if not rows:
        raise InputError(
            "has nothing to compare: one scheme, and no two architectures with the same first "
            "layer",
            where=("baselines",),
            remedy="Add a scheme or an architecture, or compare with saved weights: --folder",
        )
    off = [(member, row) for member, row in rows if not row.ok]
    if not off:
        return
    member, row = off[0]
    must = "must be 0" if row.expected == "equal" else "must be more than 0"
    where = member if member == FULL else f"fold {member}"
    raise SearchlabError(
        f"initial weights are not as they must be: {len(off)} of {len(rows)} comparisons are off, "
        f"the first is {row.one} - {row.other} in {row.layer} ({where}), whose norm of the "
        f"difference is {row.norm:.6g} and {must}"
    )


def _list_cells(spec: StudySpec) -> list[_Cell]:
    space = open_space(spec)
    cells = []
    for row in spec.baseline_grid:
        point = space.baseline_point(row)
        settings = settings_at(point, spec.baseline_training(row))
        cells.append(_Cell(row=row, model=model_at(point), settings=settings))
    return cells


def _shape_of(spec: StudySpec, data_dir: Path) -> tuple[ImageShape, int]:
    """Return the images' shape and the number of classes."""
    facts = describe_dataset(request_data(spec.dataset), data_dir)
    return facts.image_shape, facts.num_classes
