"""What becomes of a project whose directory was moved or copied. `settle` is asked whenever one is opened; `plan` and
`adopt` make a copy a project of its own."""

from .copies import adopt, plan
from .settling import Settled, settle

__all__ = ["Settled", "adopt", "plan", "settle"]
