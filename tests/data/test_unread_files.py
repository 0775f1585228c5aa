"""Whatever lies among images is read, or counted by reason with an example, or known junk."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from picture_files import write_foreign_heif, write_picture, write_split_tree, write_tree
from PIL import Image

from searchlab.data.image_tree import ImageTree, scan_tree
from searchlab.data.unread_files import describe_unread
from searchlab.errors import InputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "pictures", per_class=5)


def told(tree: ImageTree) -> str:
    return describe_unread(tree.unread)


def files_of(tree: ImageTree) -> set[str]:
    return {file.path for file in (*tree.train, *tree.test)}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"])
def test_an_image_is_read_whatever_it_is_called(kind: str, root: Path) -> None:
    names = ["a.jfif", "a", "a.dat", "a.jpg_large", "a.txt", "ä.JPG_old"]
    if kind != "TIFF":  # which cameras' raw files are too, by their content
        names += ["a.HEIC", "a.ico", "a.dng"]
    for name in names:
        Image.new("RGB", (16, 16), (9, 9, 9)).save(root / "ant" / name, format=kind)
    tree = scan_tree(root)
    assert files_of(tree) >= {f"ant/{name}" for name in names}
    assert tree.unread == ()


def test_the_thumbnail_in_a_cameras_raw_file_is_not_taken_for_the_image(root: Path) -> None:
    Image.new("RGB", (16, 16)).save(root / "ant" / "camera.NEF", format="TIFF")
    assert told(scan_tree(root)) == "1 image of a format that is not read (ant/camera.NEF)"


def test_a_class_that_is_called_like_an_old_systems_junk_is_a_class(root: Path) -> None:
    write_picture(root / "recycler" / "0.png")
    write_picture(root / "recycler" / "1.png")
    assert scan_tree(root).classes == ("ant", "bee", "cat", "recycler")


def write_archive(root: Path) -> None:
    (root / "ant" / "more.zip").write_bytes(b"PK\x05\x06" + bytes(18))


def write_text_like_an_image(root: Path) -> None:
    (root / "ant" / "prices.txt").write_text("BMW: 30,000\n")
    (root / "ant" / "paper").write_text("P5 is a size of paper\n")


def write_table(root: Path) -> None:
    (root / "labels.csv").write_text("file,label\n")


def write_loose_image(root: Path) -> None:
    write_picture(root / "loose.png")


def write_hidden(root: Path) -> None:
    write_picture(root / "ant" / ".draft.png")
    write_picture(root / ".mine" / "0.png")


def write_other_formats(root: Path) -> None:
    (root / "ant" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (root / "bee" / "camera.NEF").write_bytes(b"II*\0")
    (root / "bee" / "drawing.svg").write_text("<svg/>")


def write_foreign_images(root: Path) -> None:
    write_foreign_heif(root / "ant" / "phone.HEIC")
    write_foreign_heif(root / "bee" / "phone")


def write_pipe(root: Path) -> None:
    os.mkfifo(root / "ant" / "pipe.png")


def write_socket(root: Path) -> None:
    here = Path.cwd()
    os.chdir(root / "ant")  # the path of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket")
    finally:
        os.chdir(here)


def write_subfolders(root: Path) -> None:
    write_picture(root / "ant" / "new" / "0.png")
    write_picture(root / "ant" / "new" / "deeper" / "1.png")
    (root / "ant" / "new" / "notes.txt").write_text("no image")


def write_loop(root: Path) -> None:
    write_picture(root / "ant" / "new" / "0.png")
    (root / "ant" / "new" / "back").symlink_to("..")
    (root / "ant" / "new" / "self").symlink_to(".")


def write_damaged_header(root: Path) -> None:
    (root / "ant" / "half").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    (root / "ant" / "odd").write_bytes(b"II*\0\xff\xff\xff\xff")


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (write_archive, "1 file not recognised as an image (ant/more.zip)"),
        (write_text_like_an_image, "2 files not recognised as images (ant/paper)"),
        (write_damaged_header, "2 files not recognised as images (ant/half)"),
        (write_table, "1 file not recognised as an image (labels.csv)"),
        (write_loose_image, "1 image outside the class folders (loose.png)"),
        (write_hidden, "2 hidden files or folders (.mine)"),
        (write_other_formats, "3 images of formats that are not read (ant/phone.HEIC)"),
        (
            write_foreign_images,
            "1 image of a format that is not read (ant/phone.HEIC), "
            "1 file not recognised as an image (bee/phone)",
        ),
        (write_pipe, "1 pipe, socket or device (ant/pipe.png)"),
        (write_socket, "1 pipe, socket or device (ant/socket)"),
        (
            write_subfolders,
            "2 images in subfolders of a class (ant/new/0.png), "
            "1 file not recognised as an image (ant/new/notes.txt)",
        ),
    ],
)
def test_what_is_not_read_is_counted(
    write: Callable[[Path], None], expected: str, root: Path
) -> None:
    before = scan_tree(root)
    write(root)
    tree = scan_tree(root)
    assert told(tree) == expected
    assert files_of(tree) == files_of(before)


def test_links_that_lead_back_end_and_count_no_image_that_is_read(root: Path) -> None:
    write_loop(root)
    assert told(scan_tree(root)) == "1 image in a subfolder of a class (ant/new/0.png)"


def test_folders_beside_training_and_test_are_counted(tmp_path: Path) -> None:
    write_split_tree(tmp_path)
    write_picture(tmp_path / "unlabelled" / "0.png")
    write_picture(tmp_path / "train" / "loose.png")
    assert told(scan_tree(tmp_path)) == (
        "1 image outside the class folders (train/loose.png), "
        "1 image in a folder that is not used (unlabelled/0.png)"
    )


JUNK_FILES = [
    ".DS_Store", "._0.png", "Thumbs.db", "THUMBS.DB", "desktop.ini", "Icon\r", ".directory",
    ".gitkeep", ".nfs000001", "Picasa.ini",
]  # fmt: skip
JUNK_FOLDERS = [
    "__MACOSX", "@eaDir", ".ipynb_checkpoints", "$RECYCLE.BIN", "System Volume Information",
    "lost+found", ".thumbnails", "#recycle", ".git", "__pycache__",
]  # fmt: skip


@pytest.mark.parametrize("place", [".", "ant"])
def test_known_junk_is_silent(place: str, root: Path) -> None:
    before = scan_tree(root)
    for name in JUNK_FILES:
        (root / place / name).write_bytes(b"\0\5\x16\7")
    for name in JUNK_FOLDERS:
        write_picture(root / place / name / "ant" / "0.png")
    assert scan_tree(root) == before


def test_a_class_whose_images_lie_deeper_says_where(root: Path) -> None:
    for file in list((root / "ant").iterdir()):
        (root / "ant" / "session").mkdir(exist_ok=True)
        file.rename(root / "ant" / "session" / file.name)
    with pytest.raises(InputError) as caught:
        scan_tree(root)
    assert str(caught.value) == (
        f"class folder {root / 'ant'} must contain images. It holds 5 images in subfolders of a "
        "class (ant/session/0.png). Add some, or remove the folder"
    )
