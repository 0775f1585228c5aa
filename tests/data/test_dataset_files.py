"""Where the data is looked for, and what is said when it is missing, damaged or out of reach."""

from __future__ import annotations

import bz2
import shutil
from pathlib import Path
from urllib.error import URLError

import pytest
from picture_files import write_picture

from searchlab.data import get_dataset, load_dataset, resolve_data_dir
from searchlab.data.files import reading
from searchlab.errors import InputError, SearchlabError

_TRAIN_IMAGES = "FashionMNIST/raw/train-images-idx3-ubyte"
_TRAIN_LABELS = "FashionMNIST/raw/train-labels-idx1-ubyte"


def listing(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


class TestDataDir:
    def test_the_option_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SEARCHLAB_DATA", "/from/environment")
        assert resolve_data_dir(Path("/from/option")) == Path("/from/option")

    def test_the_environment_comes_next(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SEARCHLAB_DATA", "~/pictures")
        assert resolve_data_dir(None) == Path.home() / "pictures"

    @pytest.mark.parametrize("variable", [None, ""])
    def test_the_cache_comes_last(
        self, variable: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.delenv("SEARCHLAB_DATA", raising=False)
        if variable is not None:
            monkeypatch.setenv("SEARCHLAB_DATA", variable)
        assert resolve_data_dir(None) == tmp_path / "searchlab" / "data"

    def test_a_relative_path_is_made_absolute(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert resolve_data_dir(Path("data")) == tmp_path / "data"


class TestMissing:
    def test_the_error_says_where_it_looked_and_what_to_run(self, tmp_path: Path) -> None:
        root = tmp_path / "my data"
        with pytest.raises(InputError) as caught:
            load_dataset("fashion_mnist", root)
        assert str(caught.value) == (
            f"dataset fashion_mnist is not in {root}: {_TRAIN_IMAGES} and 3 more not found. "
            f"Run: searchlab data fetch fashion_mnist --data-dir '{root}'"
        )
        assert not root.exists()

    def test_one_file_of_two_is_not_enough(self, blank_root: Path, tmp_path: Path) -> None:
        shutil.copy(blank_root / "usps.bz2", tmp_path)
        assert not get_dataset("usps").is_present(tmp_path)
        with pytest.raises(InputError, match=r"usps\.t\.bz2 not found"):
            load_dataset("usps", tmp_path)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


class TestDamaged:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x00\x00",
            b"not an idx file at all",
            b"\x00\x00\x08\x03" + b"\x00\x00\x00\x02" * 3,
        ],
        ids=["empty", "two bytes", "text", "truncated"],
    )
    @pytest.mark.parametrize("file", [_TRAIN_IMAGES, _TRAIN_LABELS])
    def test_fashion_mnist_names_the_file(
        self, file: str, content: bytes, blank_root: Path, tmp_path: Path
    ) -> None:
        for source in (blank_root / "FashionMNIST" / "raw").iterdir():
            target = tmp_path / "FashionMNIST" / "raw" / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)
        (tmp_path / file).unlink()
        (tmp_path / file).write_bytes(content)
        with pytest.raises(InputError) as caught:
            load_dataset("fashion_mnist", tmp_path)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / file} is damaged")
        assert f"Delete it, then run: searchlab data fetch fashion_mnist --data-dir {tmp_path}" in (
            message
        )

    def test_images_of_another_count_are_refused(self, blank_root: Path, tmp_path: Path) -> None:
        shutil.copytree(blank_root, tmp_path, symlinks=True, dirs_exist_ok=True)
        raw = tmp_path / "FashionMNIST" / "raw"
        shutil.copy(raw / "t10k-images-idx3-ubyte", raw / "train-images-idx3-ubyte")
        with pytest.raises(InputError, match=r"60000 images of 28x28 expected, found \(10000, 28"):
            load_dataset("fashion_mnist", tmp_path)

    def test_a_label_out_of_range_is_refused(self, blank_root: Path, tmp_path: Path) -> None:
        shutil.copytree(blank_root, tmp_path, symlinks=True, dirs_exist_ok=True)
        labels = bytearray((tmp_path / _TRAIN_LABELS).read_bytes())
        labels[-1] = 10
        (tmp_path / _TRAIN_LABELS).write_bytes(labels)
        with pytest.raises(InputError, match=r"train-labels.*60000 labels in 0\.\.9"):
            load_dataset("fashion_mnist", tmp_path)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"<html>moved</html>",
            cut(bz2.compress(b"1 1:-1\n" * 50_000)),
            bz2.compress(b"1 1:-1\n" * 7_291),
            bz2.compress(b"\n"),
            bz2.compress(b"\xff\xfe"),
            bz2.compress(b"eleven" + b" 1:0" * 256 + b"\n"),
            bz2.compress((b"1" + b" 1:0" * 256 + b"\n") * 3),
        ],
        ids=["empty", "html", "cut", "few pixels", "no words", "binary", "no number", "few lines"],
    )
    def test_usps_names_the_file(self, content: bytes, blank_root: Path, tmp_path: Path) -> None:
        (tmp_path / "usps.bz2").write_bytes(content)
        shutil.copy(blank_root / "usps.t.bz2", tmp_path)
        with pytest.raises(InputError) as caught:
            load_dataset("usps", tmp_path)
        assert str(caught.value).startswith(f"{tmp_path / 'usps.bz2'} is damaged")

    def test_an_unreadable_file_is_not_called_damaged(self, tmp_path: Path) -> None:
        file = tmp_path / "usps.bz2"
        with (
            pytest.raises(InputError, match=r"usps\.bz2 is not readable\. Check"),
            reading(file, name="usps", root=tmp_path),
        ):
            raise PermissionError(13, "Permission denied", str(file))


class TestFetch:
    @pytest.fixture
    def offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*args: object, **options: object) -> None:
            raise URLError("Name or service not known")

        monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refuse)
        monkeypatch.setattr("torchvision.datasets.usps.download_url", refuse)
        monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
        monkeypatch.setattr("torchvision.datasets.imagenette.download_and_extract_archive", refuse)

    @pytest.mark.parametrize(
        ("name", "host", "files"),
        [
            (
                "fashion_mnist",
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
                "FashionMNIST/raw/train-images-idx3-ubyte.gz, ",
            ),
            ("usps", "https://www.csie.ntu.edu.tw", "usps.bz2 and usps.t.bz2"),
            ("mnist", "https://ossci-datasets", "MNIST/raw/train-images-idx3-ubyte.gz, "),
            ("kmnist", "http://codh.rois.ac.jp", "KMNIST/raw/train-images-idx3-ubyte.gz, "),
            ("cifar10", "https://www.cs.toronto.edu", "cifar-10-python.tar.gz into"),
            ("cifar100", "https://www.cs.toronto.edu", "cifar-100-python.tar.gz into"),
            ("imagenette", "https://s3.amazonaws.com", "imagenette2-160.tgz into"),
        ],
    )
    def test_offline_it_says_from_where_and_what_to_do_instead(
        self, name: str, host: str, files: str, offline: None, tmp_path: Path
    ) -> None:
        with pytest.raises(SearchlabError) as caught:
            get_dataset(name).fetch(tmp_path)
        message = str(caught.value)
        assert message.startswith(f"{name} could not be downloaded from {host}")
        assert "Name or service not known" in message
        assert f"Without a network, put {files}" in message
        assert str(tmp_path) in message
        assert "\n" not in message
        assert listing(tmp_path) == []

    @pytest.mark.parametrize("name", ["digits", "fashion_mnist", "kmnist", "usps"])
    def test_present_data_needs_no_network(
        self, name: str, offline: None, blank_root: Path
    ) -> None:
        before = listing(blank_root)
        get_dataset(name).fetch(blank_root)
        assert listing(blank_root) == before

    def test_archives_put_there_by_hand_need_no_network(
        self, monkeypatch: pytest.MonkeyPatch, real_root: Path, tmp_path: Path
    ) -> None:
        def refuse(*args: object, **options: object) -> None:
            raise URLError("Name or service not known")

        monkeypatch.setattr("torchvision.datasets.utils._get_redirect_url", refuse)
        raw = tmp_path / "FashionMNIST" / "raw"
        raw.mkdir(parents=True)
        for archive in (real_root / "FashionMNIST" / "raw").glob("*.gz"):
            shutil.copy(archive, raw)
        get_dataset("fashion_mnist").fetch(tmp_path)
        assert load_dataset("fashion_mnist", tmp_path).train_labels[:3].tolist() == [9, 0, 0]

    def test_only_what_is_missing_is_put_there(
        self, monkeypatch: pytest.MonkeyPatch, blank_root: Path, tmp_path: Path
    ) -> None:
        def copy(url: str, folder: str | Path, filename: str, md5: str) -> None:
            shutil.copy(blank_root / filename, folder)

        monkeypatch.setattr("torchvision.datasets.usps.download_url", copy)
        (tmp_path / "usps.bz2").write_bytes(b"the user's own")
        get_dataset("usps").fetch(tmp_path)
        assert listing(tmp_path) == ["usps.bz2", "usps.t.bz2"]
        assert (tmp_path / "usps.bz2").read_bytes() == b"the user's own"

    def test_folders_are_put_there_whole(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def extract(url: str, folder: str | Path, md5: str) -> None:
            for part in ("train", "val"):
                write_picture(Path(folder) / "imagenette2-160" / part / "n01440764" / "0.jpeg")

        monkeypatch.setattr("torchvision.datasets.imagenette.download_and_extract_archive", extract)
        get_dataset("imagenette").fetch(tmp_path)
        assert get_dataset("imagenette").is_present(tmp_path)
        expected = [f"imagenette2-160/{part}/n01440764/0.jpeg" for part in ("train", "val")]
        assert listing(tmp_path) == expected

    def test_a_download_cut_short_leaves_no_half_file(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def stop_halfway(url: str, folder: str | Path, filename: str, md5: str) -> None:
            (Path(folder) / filename).write_bytes(b"half")
            raise KeyboardInterrupt

        monkeypatch.setattr("torchvision.datasets.usps.download_url", stop_halfway)
        with pytest.raises(KeyboardInterrupt):
            get_dataset("usps").fetch(tmp_path / "data")
        assert listing(tmp_path) == []

    def test_a_folder_that_cannot_be_made_is_the_users_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match=r"file/data cannot be written \(Not a directory\)"):
            get_dataset("usps").fetch(tmp_path / "file" / "data")
