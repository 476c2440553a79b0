"""Opens, walks, copies and removes files below a directory without ever following a link out of it.

What a step, a container, an archive or a server has left is not ours: any name in it may be a link to anything of
this machine, and may become one between a look and an opening. So nothing here takes a path and opens it. A
directory is held open (`Directory`), and everything below it is reached from its handle, one name at a time, with
O_NOFOLLOW.
"""

from .archive import unpack
from .directory import Directory, LinkRefused, inside_of
from .links import led_to, settled, within
from .tree import FoundEntry, copy_tree, move, pour, walk

__all__ = [
    "Directory",
    "FoundEntry",
    "LinkRefused",
    "copy_tree",
    "inside_of",
    "led_to",
    "move",
    "pour",
    "settled",
    "unpack",
    "walk",
    "within",
]
