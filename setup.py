"""What pyproject.toml cannot say: studies/, spaces/ and examples/ go into the wheel as well."""

from setuptools import find_packages, setup

SHIPPED = {f"searchlab.shipped.{name}": name for name in ("studies", "spaces", "examples")}

setup(
    packages=[*find_packages(include=["searchlab*"]), *SHIPPED],
    package_dir=SHIPPED,
    package_data={
        "searchlab": ["py.typed"],
        "searchlab.report.page": ["page.*"],
        **{name: ["**/*"] for name in SHIPPED},
    },
    exclude_package_data={name: ["*.svg", "**/*.pyc"] for name in SHIPPED},
)
