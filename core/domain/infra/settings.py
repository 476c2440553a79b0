"""What podium.yaml says of one infrastructure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from ..frozen import Frozen
from .rules import Rules

TERRAFORM = "terraform"
CLOUDFORMATION = "cloudformation"


class Infra(Frozen):
    """One root module of Terraform or OpenTofu, or one stack of CloudFormation."""

    name: str
    kind: str
    """The tool, by which core/plugins.py finds it: `terraform`, `cloudformation`."""
    path: str
    """A directory of Terraform, or a template of CloudFormation; relative to the project."""
    needs: tuple[str, ...] = ()
    """Those that have to be applied before it."""
    vars: Mapping[str, str] = field(default_factory=dict[str, str])
    """Terraform's variables or the stack's parameters; may name outputs of others."""
    rules: Rules = Rules()
    expires: float = 3600.0
    """How long a plan, and the approval of it, counts; in seconds."""
    timeout: float = 3600.0
    """The seconds that a plan or an apply may take."""
    protected: bool = False
    """Whether a person has to type its name where something ends."""
    program: str = ""
    """The program: a path, or a name on PATH; empty for `terraform`, or `tofu` where there is no terraform."""
    workspace: str = ""
    """Terraform's workspace; empty for the default one."""
    var_files: tuple[str, ...] = ()
    """Files of variables, relative to the project."""
    lock_timeout: float = 0.0
    """The seconds that a state which is locked is waited for."""
    stack: str = ""
    """The name of the stack of CloudFormation."""
    region: str = ""
    """Empty for the region of the AWS configuration."""
    endpoint: str = ""
    """The address of the API where it is not the region's own."""
    capabilities: tuple[str, ...] = ()
    """What the stack may do beyond the usual, such as `CAPABILITY_IAM`."""
    line: int = 0
