"""The card of an exported model, in Markdown: what it is, takes and answers, and how good it is."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from searchlab.config.configuration import ConfigurationSpec
from searchlab.config.dataset import Fit
from searchlab.config.documents import dump_yaml
from searchlab.config.metrics import DEFAULT_METRIC, Figures, get_metric, list_metrics
from searchlab.control_characters import escape_line
from searchlab.data import ImageData
from searchlab.deployment.description import ModelDescription, ModelFormat
from searchlab.records.trial_record import TrialRecord
from searchlab.report.formatting import format_mean_std, format_value
from searchlab.report.layout import markdown_table
from searchlab.report.leaderboard import Row, build_leaderboard
from searchlab.report.reading import StudyReading
from searchlab.report.verdict import reach_verdict

__all__ = ["describe_study_model", "describe_trained_model"]

_FITTED: dict[Fit, str] = {
    "crop": "the short side is resized to {} pixels (bilinear, with antialiasing), and the middle "
    "is cropped",
    "pad": "the long side is resized to {} pixels (bilinear, with antialiasing), and the image is "
    "put in the middle of a black square",
    "stretch": "both sides are resized to {} pixels (bilinear, with antialiasing)",
}

_PYTHON: dict[ModelFormat, str] = {
    "safetensors": """\
from pathlib import Path
from searchlab.deployment.loaded_models import load_exported

model = load_exported(Path("."))
logits = model.logits(images)        # images: uint8 [N, {channels}, {height}, {width}]
""",
    "onnx": """\
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
[logits] = session.run(None, {{"images": images}})    # uint8 [N, {channels}, {height}, {width}]
""",
    "torchscript": """\
import torch

model = torch.jit.load("model.pt")
logits = model(images)               # images: uint8 [N, {channels}, {height}, {width}]
""",
}


def describe_study_model(
    description: ModelDescription, reading: StudyReading, record: TrialRecord, images: ImageData
) -> str:
    """Return the card of a study's model."""
    board = build_leaderboard(reading.records, reading.spec, show_all=True)
    repeated = record.number if record.confirmation_of is None else record.confirmation_of
    row = next((row for row in board.rows if row.number == repeated), None)
    repeats = [
        one.test_figures[DEFAULT_METRIC]
        for one in reading.records
        if one.confirmation_of == repeated and DEFAULT_METRIC in one.test_figures
    ]
    verdict = reach_verdict(board, reading.records, reading.spec)
    origin = f"It is trial #{record.number} ({record.role}) of the study {reading.spec.name}."
    folds = f"{board.num_folds} {reading.spec.dataset.kind_of_folds} folds of the training images"
    chosen = {
        "finalist": "The search chose its configuration by "
        f"{board.search_folds} of {folds}; it was then cross-validated on all of them.",
        "baseline": f"Its configuration was fixed in advance, and cross-validated on {folds}.",
        "confirmation": f"It is one of {len(repeats)} models of trial #{repeated}, each trained on "
        "all training images with draws of its own. If it was chosen among them by its test "
        "figures, those lean high.",
    }.get(record.role, "")
    spec = reading.spec
    return _join(
        _introduce(description, images, origin),
        _explain_use(description),
        _explain_input(description),
        _list_classes(description.classes),
        _describe_data(description, images),
        "\n\n".join(
            filter(
                None,
                (
                    "## Figures",
                    chosen,
                    _table(_study_figures(row, record, description, repeats)),
                    _compare_with_record(description),
                ),
            )
        ),
        f"## Verdict of the study\n\n{_line(verdict.text)}. "
        f"{_line(' '.join(verdict.details))}".rstrip(),
        _list_limits(description),
        _show_configuration(
            ConfigurationSpec.of(
                description.config,
                spec.dataset,
                last_epoch=record.fold_epoch or record.last_epoch,
                plugins=spec.plugins,
            )
        ),
    )


def describe_trained_model(
    description: ModelDescription,
    configuration: ConfigurationSpec,
    images: ImageData,
    test_figures: Figures,
) -> str:
    """Return the card of a model that ``train`` made."""
    figures = [
        (f"test {get_metric(name).label}", format_value(name, value))
        for name, value in test_figures.items()
    ]
    return _join(
        _introduce(description, images, "It was trained from one configuration, by no study."),
        _explain_use(description),
        _explain_input(description),
        _list_classes(description.classes),
        _describe_data(description, images),
        f"## Figures\n\nOne model, tested once. Nothing here says how much another draw of its "
        f"weights would change them.\n\n{_table(figures)}",
        _list_limits(description),
        _show_configuration(configuration),
    )


def _join(*sections: str) -> str:
    return "\n\n".join(sections) + "\n"


def _line(text: str) -> str:
    return escape_line(text)


def _introduce(description: ModelDescription, images: ImageData, origin: str) -> str:
    model = description.config.model
    return (
        f"# {_line(description.title)}\n\n"
        f"A classifier of images into {len(description.classes)} classes: a network of the family "
        f"`{_line(model.family)}`, trained on {len(images.train_labels):,} images of the dataset "
        f"`{_line(images.name)}` with searchlab {description.searchlab}. {_line(origin)}"
    )


def _explain_use(description: ModelDescription) -> str:
    channels, height, width = description.input.shape
    code = _PYTHON[description.format].format(channels=channels, height=height, width=width)
    plugins = " ".join(
        f"--plugin {plugin.name if plugin.file is None else plugin.file}"
        for plugin in description.plugins
    )
    command = "searchlab predict . photos/ more.jpg --csv > answers.csv"
    text = f"## Use\n\n```bash\n{command}\n```\n\n```python\n{code}```"
    if plugins and description.format == "safetensors":
        text += (
            f"\n\nIf the network is of a plugin, its code is run only if you name it: "
            f"`searchlab predict . photos/ {_line(plugins)}`. The sources that the study ran with "
            "are beside this card; a plugin without a file here is a package to install."
        )
    return text


def _explain_input(description: ModelDescription) -> str:
    taken = description.input
    _, height, width = taken.shape
    lines = [
        f"- Input `images`: uint8 [N, {taken.channels}, {height}, {width}], pixels in 0 to 255 "
        f"({taken.colours}), for any N.",
        "- Outside the model: files are decoded, turned by their EXIF orientation, laid on white "
        f"if they are transparent; {_FITTED[taken.fit].format(min(height, width))}. "
        "`searchlab predict` does this as training did; other libraries resize otherwise, which "
        "costs accuracy.",
        "- Inside the model: (pixel / 255 - mean) / std for each channel "
        f"(`{taken.normalize}`). mean: {_numbers(taken.mean)}; std: {_numbers(taken.std)}.",
        f"- Output `logits`: float32 [N, {len(description.classes)}]; their softmax gives the "
        "probabilities.",
    ]
    if taken.bits is not None:
        lines.insert(2, f"- Files of 16 bits are read at a depth of {taken.bits} bits.")
    if taken.value_range is not None:
        low, high = taken.value_range
        lines.insert(2, f"- Arrays of other numbers: {low:g} is scaled to 0, and {high:g} to 255.")
    return "## Input and output\n\n" + "\n".join(lines)


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)


def _list_classes(classes: Sequence[str]) -> str:
    rows = [(str(number), name) for number, name in enumerate(classes)]
    return "## Classes\n\n" + markdown_table([("logit", "right"), ("class", "left")], rows).rstrip()


def _describe_data(description: ModelDescription, images: ImageData) -> str:
    channels, height, width = images.image_shape
    rows = [
        ("dataset", images.name),
        ("training images", f"{len(images.train_labels):,}"),
        ("test images", f"{len(images.test_labels):,}"),
        ("size", f"{channels}x{height}x{width}"),
        ("fingerprint", images.fingerprint()),
    ]
    return "## Data\n\n" + _table(rows, ("", ""))


def _study_figures(
    row: Row | None,
    record: TrialRecord,
    description: ModelDescription,
    repeats: Sequence[float],
) -> list[tuple[str, str]]:
    rows = []
    if row is not None and row.cv_mean is not None:
        metric = description.config.objective.metric
        rows.append(
            (
                f"{get_metric(metric).label}, mean and standard deviation over "
                f"{len(row.fold_values)} folds",
                format_mean_std(metric, row.cv_mean, row.cv_std, unit=True),
            )
        )
    for entry in list_metrics():
        if entry.name in record.test_figures:
            figure = format_value(entry.name, record.test_figures[entry.name])
            rows.append((f"test {entry.label}", figure))
    if len(repeats) > 1:
        spread = statistics.fmean(repeats), statistics.stdev(repeats)
        what = f"test accuracy over {len(repeats)} models with draws of their own, mean and spread"
        rows.append((what, format_mean_std(DEFAULT_METRIC, *spread, unit=True)))
    for entry in list_metrics():
        if not entry.is_of_folds and entry.name in record.figures:
            rows.append((entry.label, format_value(entry.name, record.figures[entry.name])))
    return rows


def _table(rows: Sequence[tuple[str, str]], titles: tuple[str, str] = ("figure", "value")) -> str:
    return markdown_table([(titles[0], "left"), (titles[1], "right")], rows).rstrip()


def _compare_with_record(description: ModelDescription) -> str:
    test = description.test
    assert test is not None, "the card is written after the test"
    exported = format_value(DEFAULT_METRIC, test.accuracy)
    text = f"The exported file answers {exported} of the {test.num_images:,} test images rightly"
    if test.recorded_accuracy is None:
        return f"{text}."
    return f"{text}; the study recorded {format_value(DEFAULT_METRIC, test.recorded_accuracy)}."


def _list_limits(description: ModelDescription) -> str:
    lines = [
        "- The figures hold for images like those of the dataset, in its shares of classes. Other "
        "cameras, crops or classes may do worse, and every image gets one of the classes above.",
        "- The figure over the folds is that of the best epoch, and leans high by a little. The "
        "test set met this model once.",
        "- A softmax is no calibrated probability.",
    ]
    if description.config.settings.average_flips:
        lines.append(
            "- It answers by the mean for an image and its mirror image, in the figures above and "
            "in the exported file."
        )
    if description.config.settings.precision != "float32":
        lines.append(
            f"- It was trained and tested in {description.config.settings.precision}; the exported "
            "model computes in float32, so a few answers may differ."
        )
    return "## Limits\n\n" + "\n".join(lines)


def _show_configuration(configuration: ConfigurationSpec) -> str:
    return f"## Configuration\n\n```yaml\n{dump_yaml(configuration.to_data())}```"
