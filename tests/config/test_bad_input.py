"""Every rule that a space or a study can break, and exactly what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from searchlab.config.loading import load_space, load_study
from searchlab.errors import InputError

SPACE = "name: bad\nparameters:\n  family: cnn\n"
OWN = "is not a known parameter. A family's own parameters belong under that family."
SHARED = "must be a value, a list or a range: all families share it"
VALUE = "must be a number, text, true or false"
ONE = "must name at least one value"
NODE = "must be a list of values or a range {low, high}"

# What stands on line 4, and the message about it.
SHARED_PARAMETERS = [
    ("lrr: 0.1", f"lrr {OWN} Did you mean lr?"),
    ("epochs: 3", f"epochs {OWN} Did you mean step_epochs or warmup_epochs?"),
    ("batchsize: 3", f"batchsize {OWN} Did you mean batch_size or cutout_size?"),
    ("lr: {low: 0.1, high: 0.1}", "lr.low must be < high (0.1), got 0.1"),
    ("lr: {low: 0.5, high: 0.1}", "lr.low must be < high (0.1), got 0.5"),
    ("lr: {low: 0.0, high: 1.0, log: true}", "lr.low must be > 0 when log is true, got 0.0"),
    ("lr: {low: -1, high: 1, log: true}", "lr.low must be > 0 when log is true, got -1"),
    ("lr: {low: 0.1}", "lr.high is required. Add it"),
    ("lr: {high: 0.1}", "lr.low is required. Add it"),
    (
        "lr: {low: 0.1, high: 1.0, lgo: true}",
        "lr.lgo is not a known field. Did you mean low or log? Known: high, log, low, step",
    ),
    ("lr: {low: 0.1, high: 1.0, log: on}", "lr.log must be a boolean, got 'on'"),
    ("lr: {low: '0.1', high: 1.0}", "lr.low must be a finite number, got '0.1'"),
    ("lr: {low: true, high: 2}", "lr.low must be a finite number, got True"),
    ("lr: {low: .nan, high: 1}", "lr.low must be a finite number, got nan"),
    ("lr: {low: 0.1, high: .inf}", "lr.high must be a finite number, got inf"),
    ("lr: {low: -.inf, high: 1}", "lr.low must be a finite number, got -inf"),
    ("lr: {low: 0.1, high: 1.0, step: .nan}", "lr.step must be a finite number, got nan"),
    ("lr: {low: 0.1, high: 1.0, step: 0}", "lr.step must be > 0, got 0"),
    ("lr: {low: 0.1, high: 1.0, step: -0.1}", "lr.step must be > 0, got -0.1"),
    (
        "lr: {low: 0.1, high: 1.0, step: 0.4}",
        "lr.high must be low (0.1) plus a whole number of steps (0.4), got 1.0",
    ),
    (
        "lr: {low: 0.1, high: 1.0, step: 1e-320}",
        "lr.high must be low (0.1) plus a whole number of steps (1e-320), got 1.0",
    ),
    (
        "lr: {low: 0.1, high: 1.0, step: 0.1, log: true}",
        "lr.step cannot go with log, got 0.1. Give a list instead",
    ),
    (
        "batch_size: {low: 16, high: 64, step: 16.0}",
        "batch_size.step must be whole if low and high are, got 16.0",
    ),
    ("batch_size: {low: 1.5, high: 10}", "batch_size must be a whole number, got 1.5"),
    ("batch_size: {low: 0, high: 10}", "batch_size must be greater than or equal to 1, got 0"),
    ("batch_size: [64, 0]", "batch_size must be greater than or equal to 1, got 0"),
    ("batch_size: 64.0", "batch_size must be a whole number, got 64.0"),
    ("dropout: {low: 0, high: 1}", "dropout must be less than 1, got 1"),
    ("lr: -1", "lr must be greater than 0, got -1"),
    ("lr: fast", "lr must be a number, got 'fast'"),
    ("lr: true", "lr must be a number, got True"),
    ("lr: 1:30", "lr must be a number, got '1:30'"),
    ("lr: .nan", "lr must be a finite number, got nan"),
    ("lr: .inf", "lr must be a finite number, got inf"),
    ("lr: [0.1, .nan]", "lr.1 must be a finite number, got nan"),
    ("lr: [-.inf, 0.1]", "lr.0 must be a finite number, got -inf"),
    ("lr: []", f"lr {ONE}"),
    ("lr: [0.1, 0.2, 0.1]", "lr must name each value once, got 0.1 twice"),
    ("batch_size: [1, true]", "batch_size must name each value once, got True twice"),
    ("lr: [[0.1]]", f"lr.0 {VALUE}, got [0.1]"),
    ("lr:", f"lr {VALUE}, got None"),
    ("lr: {fast: {x: 1}}", f"lr {SHARED}"),
    ("lr: {each_layer: [0.1]}", f"lr {SHARED}"),
    (
        "optimizer: [adam, sdg]",
        "optimizer must be sgd, adam, adamw, rmsprop, lion, or module:Class, got 'sdg'. "
        "Did you mean sgd? Known: adam, adamw, lion, rmsprop, sgd",
    ),
    (
        "augment: [none, flip+rotat]",
        "augment must be none, or operations joined by +, got 'flip+rotat'. "
        "Did you mean rotate? Known: crop, cutout, erase, flip, jitter, none, randaugment, "
        "rotate, trivial",
    ),
    (
        "loss: focall",
        "loss must be cross_entropy, focal, bce, or module:function, got 'focall'. "
        "Did you mean focal? Known: bce, cross_entropy, focal",
    ),
    ("augment: flip+flip", "augment must name each operation once, got 'flip+flip'"),
]

FAMILIES = [
    ("family: 3", "family must name families by text, got 3"),
    ("family: [cnn, 3]", "family must name families by text, got 3"),
    ("family: [cnn, cnn]", "family must name each value once, got 'cnn' twice"),
    ("family: []", f"family {ONE}"),
    ("family: {}", "family must name at least one option"),
    ("family:", f"family {VALUE}, got None"),
    ("family: {low: 1, high: 3}", "family must be a name, a list of names, or a mapping of them"),
    ("family: {each_layer: [a]}", "family must be a name, a list of names, or a mapping of them"),
    ("family: {cnn: 3}", "family.cnn must be a mapping, got 3"),
    ("family: {cnn: [3]}", "family.cnn must be a mapping, got [3]"),
    ("family: {1: {a: 2}}", "family.1 must have text for a key, got 1. Put it in quotes"),
    ("family: {cnn: {1: 2}}", "family.cnn.1 must have text for a key, got 1. Put it in quotes"),
    ("family: {cnn: {depth: }}", f"family.cnn.depth {VALUE}, got None"),
    ("family: {cnn: {depth: .nan}}", "family.cnn.depth must be a finite number, got nan"),
    ("family: {cnn: {depth: [2, .inf]}}", "family.cnn.depth.1 must be a finite number, got inf"),
    ("family: {cnn: {depth: {low: 2, high: 1}}}", "family.cnn.depth.low must be < high (1), got 2"),
    ("family: {cnn: {depth: {a: 1}}}", f"family.cnn.depth {NODE}, got {{'a': 1}}"),
    ("family: {cnn: {w: {each_layer: 3}}}", f"family.cnn.w.each_layer {NODE}, got 3"),
    ("family: {cnn: {w: {each_layer: []}}}", f"family.cnn.w.each_layer {ONE}"),
    (
        "family: {cnn: {w: {each_layer: {low: 1, high: .inf}}}}",
        "family.cnn.w.each_layer.high must be a finite number, got inf",
    ),
    (
        "family: {cnn: {w: {each_layer: [1], log: true}}}",
        "family.cnn.w.log is not a known field. Known: each_layer",
    ),
]  # fmt: skip

SLUG = "must be a slug (1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit)"

WHOLE_SPACES = [
    ("nmae: x\nparameters: {family: cnn}", ":1: nmae is not a known field. Did you mean name? "),
    ("name: ../x\nparameters: {family: cnn}", f":1: name {SLUG}, got '../x'"),
    ("name: 3\nparameters: {family: cnn}", ":1: name must be a string, got 3"),
    ("name: x", ": parameters is required. Add it"),
    ("parameters: {}", ":1: parameters must have at least 1 item, got {}"),
    ("parameters: [family]", ":1: parameters must be a mapping, got ['family']"),
    ("parameters:\n  lr: 0.1", ":1: parameters must have a family, such as family: [cnn, fcn]"),
]  # fmt: skip


def space_message(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_space(path)
    return str(error.value)


@pytest.mark.parametrize(("line", "message"), SHARED_PARAMETERS)
def test_bad_shared_parameter_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    assert space_message(path, f"{SPACE}  {line}\n") == f"{path}:4: parameters.{message}"


@pytest.mark.parametrize(("line", "message"), FAMILIES)
def test_bad_family_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    text = f"parameters:\n  lr: 0.1\n  {line}\n"
    assert space_message(path, text) == f"{path}:3: parameters.{message}"


@pytest.mark.parametrize(("text", "message"), WHOLE_SPACES)
def test_bad_space_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    assert space_message(path, text).startswith(f"{path}{message}")


def test_every_broken_rule_gets_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    text = "name: a b\nparameters:\n  family:\n    cnn: 3\n  lr: {low: .nan, high: x}\n"
    assert [line.split(" must")[0] for line in space_message(path, text).splitlines()] == [
        f"{path}:1: name",
        f"{path}:4: parameters.family.cnn",
        f"{path}:5: parameters.lr.low",
        f"{path}:5: parameters.lr.high",
    ]


STUDY = {
    "name": "name: s",
    "dataset": "dataset: {name: digits}",
    "space": "space: {parameters: {family: cnn}}",
    "search": "search: {trials: 3}",
}
FINITE = "must be a finite number"
AT_LEAST_1 = "must be greater than or equal to 1"
SPACE_KINDS = (
    "must be a space file (*.yaml), an inline space {parameters: ...} "
    "or a Python function as module:function"
)
SECTIONS = (
    "baselines, confirm, dataset, name, objective, resources, search, space, training, valida"
)

# A line of the study, in place of the one for the same field or else on line 5.
STUDIES = [
    ("name: ../x", f"name {SLUG}, got '../x'"),
    ("name: a/b", f"name {SLUG}, got 'a/b'"),
    ("name: a..b", f"name {SLUG}, got 'a..b'"),
    ("name: ''", f"name {SLUG}, got ''"),
    ("name: -x", f"name {SLUG}, got '-x'"),
    ("name: " + "x" * 65, f"name {SLUG}, got '{'x' * 65}'"),
    ("name: 5", "name must be a string, got 5"),
    ("dataset: [digits]", "dataset must be a mapping, got ['digits']"),
    ("dataset: {}", "dataset.name is required. Add it"),
    (
        "dataset: {name: digits, nromalize: unit}",
        "dataset.nromalize is not a known field. Did you mean normalize? "
        "Known: columns, fit, limit, name, normalize, root, size, skip_broken",
    ),
    (
        "dataset: {name: table, columns: {time: day, group: patient}}",
        "dataset.columns.time cannot be named together with group: folds are either of groups or "
        "of times, got 'day'. Leave one of them out",
    ),
    (
        "dataset: {name: folder, fit: padd}",
        "dataset.fit must be 'crop', 'pad' or 'stretch', got 'padd'. Did you mean pad? "
        "Known: crop, pad, stretch",
    ),
    (
        "dataset: {name: digits, normalize: none}",
        "dataset.normalize must be 'standard', 'unit', 'half' or 'imagenet', got 'none'. "
        "Known: half, imagenet, standard, unit",
    ),
    ("space: cnn", f"space {SPACE_KINDS}, got 'cnn'"),
    ("space: 3", f"space {SPACE_KINDS}, got 3"),
    ("space: [a]", f"space {SPACE_KINDS}, got ['a']"),
    ("space:", f"space {SPACE_KINDS}, got None"),
    ("space: {}", "space.parameters is required. Add it"),
    (
        "space: {parameters: {family: cnn, lr: {low: 2, high: 1}}}",
        "space.parameters.lr.low must be < high (1), got 2",
    ),
    (
        "objective: {metric: acc}",
        "objective.metric must be a known metric, got 'acc'. Did you mean accuracy? Known: "
        "accuracy, balanced_accuracy, latency, loss, macro_f1, multiply_adds, parameters, "
        "robust_accuracy",
    ),
    ("objective: []", "objective must name at least one objective"),
    (
        "objective: [{metric: parameters}, {metric: accuracy}]",
        "objective must start with a metric that every epoch measures, because it chooses epochs "
        "and finalists (accuracy, loss, balanced_accuracy, macro_f1, robust_accuracy), got "
        "'parameters'. Put this one after it",
    ),
    (
        "objective: [{metric: loss}, {metric: loss}]",
        "objective must name each metric once, got 'loss' twice",
    ),
    (
        "objective: [{}, {metric: robust_accuracy}]",
        "objective needs robustness to measure robust_accuracy. "
        "Add robustness: {attack: fgsm, epsilon: 0.1}",
    ),
    (
        "objective: [{}, {metric: acuracy}]",
        "objective.1.metric must be a known metric, got 'acuracy'. Did you mean accuracy",
    ),
    (
        "published: {source: r, rows: [{table: t, name: n, trial: a1/HF, figures: {acc: 1}}]}",
        "published.rows.0.figures.acc is not a known figure. Did you mean accuracy",
    ),
    ("robustness: {epsilon: 2.0}", "robustness.epsilon must be less than or equal to 1, got 2.0"),
    (
        "baselines: {rows: [{name: search, architecture: a1}]}",
        "baselines.rows.0.name is reserved: 'search' means the search's best trial",
    ),
    (
        "baselines: {rows: [{name: a1/HF, architecture: a1}]}",
        "baselines.rows must have distinct names, got 'a1/HF' twice",
    ),
    (
        "ensembles: {both: [a1/HF, a3/HF]}",
        "ensembles.both must name a trial of this study, got 'a3/HF'. Did you mean",
    ),
    ("ensembles: {one: [a1/HF]}", "ensembles.one must average at least two baselines"),
    ("ensembles: {a1/HF: [a1/HF, a2/HF]}", "ensembles.a1/HF has the name of a baseline: 'a1/HF'"),
    ("correlations: {x: logits}", "correlations must name a trial of this study, got 'x'."),
    (
        "published: {source: r, rows: [{table: t, name: n, trial: x, figures: {accuracy: 1}}]}",
        "published.rows.0.trial must name a trial of this study, got 'x'.",
    ),
    (
        "published: {source: r, rows: [{table: t, name: n, trial: a1/HF}]}",
        "published.rows.0.figures must give at least one published figure or setting",
    ),
    (
        "objective: {metric: loss, direction: maximize}",
        "objective.direction must be minimize for loss, got 'maximize'",
    ),
    (
        "objective: {direction: minimize}",
        "objective.direction must be maximize for accuracy, got 'minimize'",
    ),
    ("objective: {at: final}", "objective.at must be 'best' or 'last', got 'final'. Known: b"),
    ("search: {}", "search.trials is required with sampler auto. Add it"),
    ("search: {sampler: random}", "search.trials is required with sampler random. Add it"),
    ("search: {trials: -3}", "search.trials must be greater than or equal to 0, got -3"),
    ("search: {trials: 1.5}", "search.trials must be a whole number, got 1.5"),
    ("search: {trials: true}", "search.trials must be a whole number, got True"),
    ("search: {trials: '3'}", "search.trials must be a whole number, got '3'"),
    (
        "search: {trails: 3}",
        "search.trails is not a known field. Did you mean trials or until? Known: max_",
    ),
    (
        "search: {trials: 3, sampler: tpee}",
        "search.sampler must be 'auto', 'tpe', 'random', 'gp'",
    ),
    (
        "search: {trials: 3, pruner: hyperbnd}",
        "search.pruner must be 'none', 'median', 'halving', 'successive_halving' or 'hyperband', "
        "got 'hyperbnd'. Did you mean hyperband? Known: halving, hyperband, median, none, succ",
    ),
    ("search: {trials: 3, timeout: 0}", "search.timeout must be > 0 seconds, got 0"),
    ("search: {trials: 3, timeout: .nan}", f"search.timeout {FINITE}, got nan"),
    ("search: {trials: 3, timeout: .inf}", f"search.timeout {FINITE}, got inf"),
    ("search: {trials: 3, timeout: 1:30}", f"search.timeout {FINITE}, got '1:30'"),
    ("search: {trials: 3, seed: -1}", "search.seed must be greater than or equal to 0, got -1"),
    (
        "search: {trials: 3, seed: 9223372036854775808}",
        "search.seed must be less than or equal to 9223372036854775807, got 9223372036854775808",
    ),
    ("search: {trials: 3, points: 1}", "search.points must be greater than or equal to 2, got 1"),
    (
        "search: {trials: 3, reference: {lr: 0.1}}",
        "search.reference is used only by sampler one_at_a_time, not auto",
    ),
    (
        "search: {sampler: one_at_a_time, reference: {lr: .nan}}",
        f"search.reference.lr {FINITE}, got nan",
    ),
    (
        "search: {sampler: one_at_a_time, reference: {lr: [1]}}",
        f"search.reference.lr {VALUE}, got [1]",
    ),
    (
        "search: {trials: 3, until: better}",
        "search.until must be 'better-than-baseline', got 'better'. Known: better-than-baseline",
    ),
    ("on_end: ''", "on_end must have at least 1 character, got ''"),
    ("on_end: [mail]", "on_end must be a string, got ['mail']"),
    ("training: {epochs: 0}", f"training.epochs {AT_LEAST_1}, got 0"),
    (
        "training: {epochs: 100001}",
        "training.epochs must be less than or equal to 100000, got 100001",
    ),
    ("training: {epocs: 3}", "training.epocs is not a known field. Did you mean epochs"),
    ("training: {lr: .nan}", f"training.lr {FINITE}, got nan"),
    ("training: {lr: .inf}", f"training.lr {FINITE}, got inf"),
    ("training: {lr: 0}", "training.lr must be greater than 0, got 0"),
    ("training: {lr: true}", "training.lr must be a number, got True"),
    (
        "training: {optimizer: adm}",
        "training.optimizer must be sgd, adam, adamw, rmsprop, lion, or module:Class, got 'adm'. "
        "Did you mean adam",
    ),
    (
        "training: {loss: 'losses.py:hinge'}",
        "training.loss must be cross_entropy, focal, bce, or module:function, got 'losses.py:h",
    ),
    (
        "training: {optimizer_arguments: {lr: 1}}",
        "training.optimizer_arguments.lr is a setting of its own. Set training.lr, which a space",
    ),
    ("training: {momentum: 1}", "training.momentum must be less than 1, got 1"),
    ("training: {momentum: .nan}", f"training.momentum {FINITE}, got nan"),
    ("training: {weight_decay: .inf}", f"training.weight_decay {FINITE}, got inf"),
    (
        "training: {weight_decay: -1}",
        "training.weight_decay must be greater than or equal to 0, got -1",
    ),
    ("training: {batch_size: 0}", f"training.batch_size {AT_LEAST_1}, got 0"),
    ("training: {accumulate: 0}", f"training.accumulate {AT_LEAST_1}, got 0"),
    ("training: {ema_decay: 1}", "training.ema_decay must be less than 1, got 1"),
    ("training: {layer_decay: 0}", "training.layer_decay must be greater than 0, got 0"),
    (
        "training: {randaugment_magnitude: 31}",
        "training.randaugment_magnitude must be less than or equal to 30, got 31",
    ),
    ("training: {erase_area: 0}", "training.erase_area must be greater than 0, got 0"),
    ("training: {step: plain}", "training.step must be default, or module:Class, got 'plain'"),
    (
        "training: {precision: float8}",
        "training.precision must be 'float32', 'bfloat16', 'float16' or 'auto', got 'float8'",
    ),
    ("training: {dropout: 1.0}", "training.dropout must be less than 1, got 1.0"),
    ("training: {dropout: .nan}", f"training.dropout {FINITE}, got nan"),
    ("training: {init: he}", "training.init must be 'default', 'normal', "),
    ("training: 3", "training must be a mapping, got 3"),
    ("validation: {folds: 1}", "validation.folds must be greater than or equal to 2, got 1"),
    ("validation: {folds: 101}", "validation.folds must be less than or equal to 100, got 101"),
    ("validation: {search_folds: 0}", f"validation.search_folds {AT_LEAST_1}, got 0"),
    ("validation: {search_folds: 6}", "validation.search_folds must be <= folds (5), got 6"),
    (
        "baselines: {schemes: []}",
        "baselines.schemes must name at least one scheme. Empty architectures for no baselines",
    ),
    ("baselines: {schemes: [HF, HF]}", "baselines.schemes must name each once, got 'HF' twice"),
    (
        "baselines: {schemes: [HF, DD]}",
        "baselines.schemes.1 must be 'HF', 'HT' or 'DT', got 'DD'. Did you mean DT? Known: DT, ",
    ),
    ("baselines: {schemes: HF}", "baselines.schemes must be a list, got 'HF'"),
    (
        "baselines: {architectures: [a1, a1]}",
        "baselines.architectures must name each once, got 'a1' twice",
    ),
    ("baselines: {architectures: [1]}", "baselines.architectures.0 must be a string, got 1"),
    ("baselines: {training: {lr: .nan}}", f"baselines.training.lr {FINITE}, got nan"),
    ("confirm: {top: -1}", "confirm.top must be greater than or equal to 0, got -1"),
    ("resources: {cpus: 0}", "resources.cpus must be > 0, got 0"),
    ("resources: {cpus: .inf}", f"resources.cpus {FINITE}, got inf"),
    ("resources: {gpus: -1}", "resources.gpus must be >= 0, got -1"),
    (
        "resources: {gpus: 2}",
        "resources.gpus must be at most 1, because a trial trains on one GPU and a second would "
        "idle, got 2. Set it to 1: as many trials run at once as there are GPUs",
    ),
    ("resources: {gpus: .nan}", "resources.gpus must be auto or a finite number, got nan"),
    ("resources: {gpus: all}", "resources.gpus must be auto or a finite number, got 'all'"),
    ("resources: {workers: 0}", "resources.workers must be a whole number >= 1, got 0"),
    ("resources: {workers: 1.5}", "resources.workers must be a whole number >= 1, got 1.5"),
    ("resources: {workers: .inf}", "resources.workers must be auto or a finite number, got inf"),
    ("resources: {workers: true}", "resources.workers must be auto or a finite number, got True"),
    ("resorces: {}", "resorces is not a known field. Did you mean resources"),
]  # fmt: skip


def study_text(line: str) -> tuple[str, int]:
    lines = {**STUDY, line.partition(":")[0]: line}
    return "\n".join(lines.values()) + "\n", list(lines).index(line.partition(":")[0]) + 1


def study_message(path: Path, text: str, overrides: tuple[str, ...] = ()) -> str:
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_study(path, overrides)
    return str(error.value)


@pytest.mark.parametrize(("line", "message"), STUDIES)
def test_bad_study_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    text, number = study_text(line)
    found = study_message(path, text)
    assert found.startswith(f"{path}:{number}: {message}")
    assert "\n" not in found


@pytest.mark.parametrize(
    ("field", "lines", "message"),
    [
        (
            "baselines",
            "baselines:\n  rows:\n  - {name: one, architecture: a1}\n"
            "  - name: two\n    architecture: a1\n    training: {patience: 3}",
            "baselines.rows.1.training.patience must be null with objective.at: last",
        ),
        (
            "published",
            "published:\n  source: r\n  rows:\n"
            "  - {table: t, name: n, trial: a1/HF, figures: {loss: 1}}\n"
            "  - table: t\n    name: n\n    figures: {loss: 1}\n    trial: x",
            "published.rows.1.trial must name a trial of this study, got 'x'",
        ),
        (
            "published",
            "published:\n  source: r\n  rows:\n"
            "  - table: t\n    name: n\n    trial: a1/HF\n    figures: {loss: 1}\n    fold: 2",
            "published.rows.0.fold requires against: folds",
        ),
    ],
)
def test_fault_in_a_row_is_placed_in_its_line(
    tmp_path: Path, field: str, lines: str, message: str
) -> None:
    path = tmp_path / "bad.yaml"
    text = "\n".join({**STUDY, "objective": "objective: {at: last}", field: lines}.values())
    assert study_message(path, text).startswith(f"{path}:{len(text.splitlines())}: {message}")


@pytest.mark.parametrize("field", list(STUDY))
def test_missing_field_of_a_study_is_named(tmp_path: Path, field: str) -> None:
    path = tmp_path / "bad.yaml"
    text = "\n".join(line for name, line in STUDY.items() if name != field)
    assert study_message(path, text) == f"{path}: {field} is required. Add it"


@pytest.mark.parametrize("sampler", ["grid", "one_at_a_time"])
def test_planned_sampler_needs_a_space_it_can_see(tmp_path: Path, sampler: str) -> None:
    path = tmp_path / "bad.yaml"
    text = "\n".join({**STUDY, "space": "space: mine:space"}.values())
    assert study_message(path, text, (f"search.sampler={sampler}",)) == (
        f"--set search.sampler={sampler}: search.sampler {sampler} must know the whole space "
        "in advance, which a Python function does not give. Use tpe or random, or a space file"
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs=0", f"training.epochs {AT_LEAST_1}, got 0"),
        ("training.epocs=3", "training.epocs is not a known field. Did you mean epochs"),
        ("training.lr=.nan", f"training.lr {FINITE}, got nan"),
        ("search.trials=-1", "search.trials must be greater than or equal to 0, got -1"),
        (
            "space.parameters.lr={low: 2, high: 1}",
            "space.parameters.lr.low must be < high (1), got",
        ),
        ("space.parameters.lr.low=-1", "space.parameters.lr.low"),
        (
            "space=nowhere.yaml",
            "space must name an existing file, got 'nowhere.yaml'. Looked for",
        ),
    ],
)
def test_bad_override_is_named_as_the_place(tmp_path: Path, override: str, message: str) -> None:
    text = "\n".join(
        {**STUDY, "space": "space: {parameters: {family: cnn, lr: {low: 0.1, high: 1, log: true}}}"}
        .values()
    )  # fmt: skip
    found = study_message(tmp_path / "bad.yaml", text, (override,))
    assert found.startswith(f"--set {override}: {message}")


def test_fault_in_a_space_file_is_placed_in_that_file(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("parameters:\n  family: cnn\n  lr: 0\n")
    text = "\n".join({**STUDY, "space": "space: space.yaml"}.values())
    message = "parameters.lr must be greater than 0, got 0"
    place = f"{tmp_path / 'space.yaml'}:3"
    assert study_message(tmp_path / "study.yaml", text) == f"{place}: {message}"


def test_fault_in_a_space_file_that_set_named_is_placed_in_that_file(tmp_path: Path) -> None:
    space = tmp_path / "space.yaml"
    space.write_text("parameters:\n  family: cnn\n  lr: 0\n")
    text = "\n".join(STUDY.values())
    found = study_message(tmp_path / "study.yaml", text, (f"space={space}",))
    assert found == f"{space}:3: parameters.lr must be greater than 0, got 0"


def test_missing_space_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    text = "\n".join({**STUDY, "space": "space: ../spaces/gone.yaml"}.values())
    assert study_message(path, text) == (
        f"{path}:3: space must name an existing file, got '../spaces/gone.yaml'. "
        f"Looked for {tmp_path / '../spaces/gone.yaml'}. "
        f"There is no folder {tmp_path / '../spaces'}"
    )


def test_long_values_are_cut_in_messages(tmp_path: Path) -> None:
    text, _ = study_text(f"training: [{', '.join(['1000'] * 100)}]")
    assert len(study_message(tmp_path / "bad.yaml", text)) < len(str(tmp_path)) + 200
