"""ModelDescription: what the file ``model.json`` of an exported model says."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import TypeAdapter, ValidationError

from searchlab.config.dataset import Fit
from searchlab.config.text_files import read_text
from searchlab.config.trial import TrialConfig
from searchlab.errors import InputError

__all__ = [
    "DESCRIPTION_FILE",
    "MODEL_FORMATS",
    "ImageInput",
    "ModelDescription",
    "ModelFormat",
    "Plugin",
    "TestFigure",
    "read_description",
]

ModelFormat = Literal["safetensors", "onnx", "torchscript"]

MODEL_FORMATS: tuple[ModelFormat, ...] = get_args(ModelFormat)

DESCRIPTION_FILE = "model.json"

_VERSION = 1
_MAX_BYTES = 8 * 2**20  # thousands of classes with long names take less
_GREY, _RGB = 1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """The images that a model takes: uint8 [channels, height, width], as they are in its dataset.

    ``mean`` and ``std`` [channels] scale pixels in [0, 1] before the first layer, which the model
    does itself. ``bits`` is the depth at which files of 16 bits were read, None if there were none;
    ``fit`` is how files became squares, ``value_range`` what became 0 and 255 in arrays of other
    numbers.
    """

    channels: int
    height: int
    width: int
    normalize: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bits: int | None = None
    fit: Fit = "crop"
    value_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        is_right = (
            min(self.channels, self.height, self.width) >= 1
            and len(self.mean) == len(self.std) == self.channels
            and all(math.isfinite(value) for value in self.mean)
            and all(math.isfinite(value) and value > 0 for value in self.std)
        )
        if not is_right:
            raise ValueError("the size, mean and std of its input contradict each other")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.height, self.width

    @property
    def colours(self) -> str:
        """What the channels are, as far as that is known."""
        known = {_GREY: "grey", _RGB: "red, green, blue"}
        return known.get(self.channels, f"{self.channels} channels")


@dataclass(frozen=True, slots=True, kw_only=True)
class TestFigure:
    """The accuracy on the test set: of the exported file, and as the study recorded it."""

    __test__ = False  # not pytest's

    accuracy: float
    recorded_accuracy: float | None
    num_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A plugin of the study. ``file`` is the copy of its source in the folder; None for a module.

    Its code is never run unless the user names it.
    """

    name: str
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """An exported model. ``title`` names it for people; ``file`` holds its weights.

    ``classes`` are in the order of the logits. ``study`` and ``trial`` say where it comes from.
    ``test`` is None in the copy that a model's own file carries, which is written before the test.
    """

    title: str
    format: ModelFormat
    file: str
    input: ImageInput
    classes: tuple[str, ...]
    config: TrialConfig
    test: TestFigure | None = None
    study: str | None = None
    trial: int | None = None
    plugins: tuple[Plugin, ...] = ()
    searchlab: str = ""

    def __post_init__(self) -> None:
        files = [self.file, *(plugin.file for plugin in self.plugins if plugin.file is not None)]
        if any(Path(file).is_absolute() or ".." in Path(file).parts for file in files):
            raise ValueError("it names a file outside its folder")

    def to_json(self) -> str:
        """Serialise for people and programs; ``read_description`` returns an equal object."""
        data = {"version": _VERSION, **asdict(self), "config": json.loads(self.config.to_json())}
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


_adapter = TypeAdapter(ModelDescription)


def read_description(folder: Path) -> ModelDescription:
    """Read the description of the model in a folder. Raises InputError."""
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        raise InputError(
            f"is not the folder of an exported model (no {DESCRIPTION_FILE})",
            where=str(folder),
            remedy="Make one with: searchlab export RUN --to DIR",
        )
    text = read_text(path, most_bytes=_MAX_BYTES, where=str(path))
    try:
        data: Any = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("it is no mapping")
        if data.get("version") != _VERSION:
            raise ValueError(f"its version is {data.get('version')}, and {_VERSION} is read")
        data["config"] = TrialConfig.from_json(json.dumps(data.get("config")))
        return _adapter.validate_python(data)
    except RecursionError:
        reason = "it is nested too deeply"
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except ValueError as error:
        reason = str(error)
    raise InputError(f"does not describe a model ({reason})", where=str(path))
