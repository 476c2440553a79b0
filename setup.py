"""Maps the top-level folders onto the import package `podium`; everything else is in pyproject.toml.

A package called `core` in site-packages would break every user who has a `core/` of their own, hence the mapping.
"""

from setuptools import find_packages, setup

FOLDERS = ("core", "cli", "tui", "screens")

packages = [name for folder in FOLDERS for name in (folder, *(f"{folder}.{sub}" for sub in find_packages(folder)))]

EXAMPLES = [
    "flights/*.py",
    "flights/*.yaml",
    "flights/*.md",
    "flights/*.txt",
    "flights/*.ini",
    "flights/tests/*.py",
    "flights/container/*",
    "changes/*.patch",
]

setup(
    packages=[f"podium.{name}" for name in packages] + ["podium.examples"],
    package_dir={**{f"podium.{folder}": folder for folder in FOLDERS}, "podium.examples": "examples"},
    package_data={
        "podium.tui": ["*.tcss"],
        "podium.tui.web": ["*.html", "*.css", "*.js"],
        "podium.screens": ["*.tcss"],
        "podium.examples": EXAMPLES,
    },
)
