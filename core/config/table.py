"""Every section of podium.yaml; `keys/` has the keys of each, with their kinds and purposes.

The reader checks by these tables, the JSON Schema is made from them (json_schema.py), and the test of
config.example.yaml walks them. To add a key, add a line to its section in `keys/`, its field in core/domain/project/,
and the key in config.example.yaml.
"""

from __future__ import annotations

from .keys import common
from .keys.alerts import ALERT, METRICS, NOTIFY
from .keys.environments import ENVIRONMENT
from .keys.evidence import EVIDENCE
from .keys.gates import GATE
from .keys.hosts import DOCKER, GIT, MLFLOW, RAY
from .keys.infra import INFRA
from .keys.monitors import MONITOR
from .keys.pipelines import PIPELINE
from .keys.retain import RETAIN
from .kinds import Integer, Text
from .sections import VARIABLE_NAME, Key, ListOf, MapOf, Section

PROJECT = Section(
    "project",
    (
        Key("project", common.name, "the project's name", required=True),
        Key("env", MapOf(Text(empty=True), "variable", VARIABLE_NAME), "environment variables of all steps"),
        Key(
            "pass",
            ListOf(Text(pattern=r"[A-Za-z_][A-Za-z0-9_]*\*?", what="a variable's name, or its beginning with a `*`")),
            "variables of whoever starts a run that its steps get, too; HF_* is all that begin so",
        ),
        Key(
            "nice",
            Integer(0, 19),
            "how much lower the priority of steps is than that of what serves, as nice(1) counts; 0: the same (10)",
        ),
        Key("git", GIT, "the repository, and the host that it is on"),
        Key("mlflow", MLFLOW, "where models are tracked and registered"),
        Key("docker", DOCKER, "the engine for steps and images"),
        Key("ray", RAY, "the Ray cluster for steps"),
        Key("retain", RETAIN, "how long what grows below .podium is kept"),
        Key("evidence", EVIDENCE, "why a version serves: the project's own words, the key, the allowed signers"),
        Key("pipelines", MapOf(PIPELINE, "pipeline"), "named graphs of steps"),
        Key("gates", MapOf(GATE, "gate"), "checks that a version has to pass"),
        Key("environments", MapOf(ENVIRONMENT, "environment"), "where versions are served"),
        Key("monitors", MapOf(MONITOR, "monitor"), "what is measured of what serves"),
        Key("alerts", MapOf(ALERT, "alert"), "rules over what monitors measure"),
        Key("notify", NOTIFY, "who is told of alerts"),
        Key("metrics", METRICS, "what the agent shows an existing Prometheus"),
        Key("infra", MapOf(INFRA, "infrastructure"), "infrastructure that Terraform or CloudFormation describes"),
    ),
    doc="A Podium project",
    extensions="x-",
)
