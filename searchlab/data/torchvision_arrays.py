"""torchvision's datasets whose files hold many small images, read by torchvision one by one.

Images that a dataset sets aside for validation are training images here, because folds validate.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.data.files import reading
from searchlab.data.image_data import ImageData, Images, Labels
from searchlab.data.registry import register_dataset
from searchlab.data.stratified import split_off_test
from searchlab.errors import InputError

__all__: list[str] = []

Arguments = dict[str, Any]

_TEST_SHARE = 0.2
# Part of the datasets' definition: another number would give other test sets.
_SPLIT_SEED = 20_261_130
_TRAIN_OR_TEST: tuple[tuple[Arguments, ...], tuple[Arguments, ...]] = (
    ({"split": "train"},),
    ({"split": "test"},),
)


def _register(
    name: str,
    kind: str,
    shape: tuple[int, int, int],
    num_classes: int,
    counts: tuple[int, int],
    *,
    files: tuple[str, ...],
    summary: str,
    source: str,
    parts: tuple[tuple[Arguments, ...], tuple[Arguments, ...]] = _TRAIN_OR_TEST,
    class_names: tuple[str, ...] = (),
    needs: str | None = None,
    is_free: bool = True,
) -> None:
    """Register what torchvision's class ``kind`` opens with each of the arguments in ``parts``.

    Without arguments for a test set, a fifth of each class is it. ``counts`` are the training and
    test images; ``needs`` is a package that reading takes.
    """
    train, test = parts

    def download(root: Path) -> None:
        for arguments in (*train, *test):
            _open(kind, root, arguments, download=True)

    def load(root: Path) -> ImageData:
        if needs is not None and find_spec(needs) is None:
            raise InputError(
                f"needs the package {needs}",
                where=f"dataset {name}",
                remedy=f"Install it: pip install {needs}",
            )
        with reading(root / files[0], name=name, root=root):
            images, labels = _read_all(kind, root, train)
            if test:
                others, other_labels = _read_all(kind, root, test)
            else:
                num_test = round(len(labels) * _TEST_SHARE)
                kept, held = split_off_test(labels, num_test=num_test, seed=_SPLIT_SEED)
                others, other_labels = images[held], labels[held]
                images, labels = images[kept], labels[kept]
        known = np.unique(labels)  # from 1 in some
        return ImageData(
            name=name,
            train_images=images,
            train_labels=np.searchsorted(known, labels),
            test_images=others,
            test_labels=np.searchsorted(known, other_labels),
            num_classes=len(known),
        )

    register_dataset(
        name=name,
        image_shape=shape,
        num_classes=num_classes,
        class_names=class_names,
        num_train=counts[0],
        num_test=counts[1],
        summary=summary,
        files=files,
        source=source,
        download=download if is_free else None,
    )(load)


def _read_all(kind: str, root: Path, parts: tuple[Arguments, ...]) -> tuple[Images, Labels]:
    pairs = [pair for arguments in parts for pair in _read_part(_open(kind, root, arguments))]
    images = np.stack([image for image, _ in pairs])
    if images.ndim == 3:
        images = images[..., None]
    labels = np.array([label for _, label in pairs], dtype=np.int64)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels


def _read_part(opened: Any) -> Iterator[tuple[Images, int]]:
    for index in range(len(opened)):
        image, label = opened[index]
        yield np.asarray(image), label


def _open(kind: str, root: Path, arguments: Arguments, *, download: bool = False) -> Any:
    from torchvision import datasets

    return getattr(datasets, kind)(
        root, **({**arguments, "download": True} if download else arguments)
    )


for _split, _num_classes, _counts, _summary in (
    ("balanced", 47, (112_800, 18_800), "handwritten letters and digits, as many of each"),
    ("bymerge", 47, (697_932, 116_323), "handwritten letters and digits, alike capitals merged"),
    ("byclass", 62, (697_932, 116_323), "handwritten letters and digits, capitals apart"),
    ("letters", 26, (124_800, 20_800), "handwritten letters, capitals and small ones as one"),
    ("digits", 10, (240_000, 40_000), "handwritten digits of NIST, as many of each"),
):
    # Cohen, Afshar, Tapson, van Schaik 2017, arXiv:1702.05373
    _register(
        f"emnist_{_split}",
        "EMNIST",
        (1, 28, 28),
        _num_classes,
        _counts,
        files=("EMNIST/raw",),
        summary=_summary,
        source="https://biometrics.nist.gov/cs_links/EMNIST",
        parts=(({"split": _split, "train": True},), ({"split": _split, "train": False},)),
    )
# Goodfellow et al. 2013, arXiv:1307.0414
_register(
    "fer2013",
    "FER2013",
    (1, 48, 48),
    7,
    (28_709, 7_178),
    files=("fer2013",),
    summary="grey faces, seven expressions; to be fetched from Kaggle by hand",
    source="https://www.kaggle.com/datasets/msambare/fer2013",
    class_names=("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"),
    is_free=False,
)
# Veeling, Linmans, Winkens, Cohen, Welling 2018, arXiv:1806.03962
_register(
    "pcam",
    "PCAM",
    (3, 96, 96),
    2,
    (294_912, 32_768),
    files=("pcam",),
    summary="tissue of lymph nodes, with and without tumour; reading takes h5py",
    source="https://drive.google.com",
    parts=(({"split": "train"}, {"split": "val"}), ({"split": "test"},)),
    class_names=("normal", "tumor"),
    needs="h5py",
)
# Yadav, Bottou 2019, arXiv:1905.10498
_register(
    "qmnist",
    "QMNIST",
    (1, 28, 28),
    10,
    (60_000, 60_000),
    files=("QMNIST/raw",),
    summary="handwritten digits: MNIST with its whole test set",
    source="https://raw.githubusercontent.com/facebookresearch/qmnist",
    parts=(({"train": True},), ({"train": False},)),
)
# Buscema, Terzi 1994
_register(
    "semeion",
    "SEMEION",
    (1, 16, 16),
    10,
    (1_274, 319),
    files=("semeion.data",),
    summary="handwritten digits in black and white",
    source="http://archive.ics.uci.edu/ml/machine-learning-databases/semeion",
    parts=(({"download": False},), ()),
)
# Coates, Lee, Ng 2011
_register(
    "stl10",
    "STL10",
    (3, 96, 96),
    10,
    (5_000, 8_000),
    files=("stl10_binary",),
    summary="photographs, ten classes, few labels",
    source="http://ai.stanford.edu/~acoates/stl10",
    class_names=(
        "airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck",
    ),
)  # fmt: skip
# Netzer et al. 2011
_register(
    "svhn",
    "SVHN",
    (3, 32, 32),
    10,
    (73_257, 26_032),
    files=("train_32x32.mat", "test_32x32.mat"),
    summary="house numbers in photographs, ten digits",
    source="http://ufldl.stanford.edu/housenumbers",
)
