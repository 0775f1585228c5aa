"""What the site has beside the pages in docs/: the reference, and the files that pages link to."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_DOCS = Path(__file__).parent
_ROOT = _DOCS.parent
_OUTSIDE = re.compile(r"(?<=\]\()\.\./((?!\.\./)[^)#]+)(?=[)#])")
"""The target of a link from a page at the top of docs/ to a file of the repository."""


def on_files(files: Files, config: Any) -> Files:
    """Add the reference, which the code declares, and the linked files as they are."""
    page = runpy.run_path(str(_DOCS / "make_reference.py"))["make_page"]()
    files.append(File.generated(config, "reference.md", content=page))
    linked = {
        target
        for page in _DOCS.glob("*.md")
        for target in _OUTSIDE.findall(page.read_text("utf-8"))
    }
    for target in sorted(linked):
        content = (_ROOT / target).read_bytes()  # fails if the link is dead
        files.append(File.generated(config, _place(target), content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let links to files of the repository lead to their copies in the site."""
    del config, files
    if "/" in page.file.src_uri:
        return markdown
    return _OUTSIDE.sub(lambda match: _place(match[1]), markdown)


def _place(target: str) -> str:
    # As text: a README.md would become a page, with links of its own.
    return f"repository/{target}" + (".txt" if target.endswith(".md") else "")
