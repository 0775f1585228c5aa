"""What pyproject.toml cannot say: further folders of the wheel, and a readme without dead links.

studies/, spaces/ and examples/ go into the wheel as well. README.md links to files of the
repository, which has no public address, so PyPI shows the links' texts alone.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

SHIPPED = {f"searchlab.shipped.{name}": name for name in ("studies", "spaces", "examples")}

readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
without_pictures = re.sub(r"^!\[[^\]]*\]\([^)]*\)\n\n", "", readme, flags=re.MULTILINE)
text_alone = re.sub(r"\[([^\]]*)\]\((?!https?:|#)[^)]*\)", r"\1", without_pictures)

setup(
    long_description=text_alone,
    long_description_content_type="text/markdown",
    packages=[*find_packages(include=["searchlab*"]), *SHIPPED],
    package_dir=SHIPPED,
    package_data={
        "searchlab": ["py.typed"],
        "searchlab.report.page": ["page.*"],
        "searchlab.search.space": ["portfolio.jsonl"],
        **{name: ["**/*"] for name in SHIPPED},
    },
    exclude_package_data={name: ["*.svg", "**/*.pyc"] for name in SHIPPED},
)
