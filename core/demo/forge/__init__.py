"""A Git host that stands in for GitHub, GitLab or Gitea: its API and smart HTTP over real bare repositories, on this
machine only. For the demonstration and for tests, which script what goes wrong. It needs the standard
library alone."""

from .calls import ForgeCall
from .faults import Fault
from .forge import Forge

__all__ = ["Fault", "Forge", "ForgeCall"]
