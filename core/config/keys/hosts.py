"""The keys of `docker`, `ray`, `git` and `mlflow` in podium.yaml: what Podium talks to."""

from __future__ import annotations

from ..kinds import Duration, Flag, PluginName, Secret, Text
from ..patterns import bad_local, bad_model, bad_path, bad_remote
from ..sections import Key, MapOf, Plain, Section
from . import common
from .common import IMAGE

RUNTIME_ENV = MapOf(Plain(), "key", r"[a-z_]+")
RAY = Section(
    "ray",
    (
        Key(
            "address",
            Text(pattern=r"https?://\S+", what="an address such as http://head:8265"),
            "dashboard of the cluster for steps with `executor: ray`",
            required=True,
        ),
        Key("shared", Flag(), "its nodes have the project's directory at the same path: nothing is sent (false)"),
        Key("trusted", Flag(), "nobody else reaches it, so that secrets may be part of jobs (false)"),
        Key("runtime_env", RUNTIME_ENV, "what it installs for each job, as Ray has it: pip, uv, conda, env_vars"),
    ),
)

DOCKER = Section(
    "docker",
    (
        Key(
            "host",
            common.host,
            "engine for steps and images: unix://, tcp:// (with tls) or ssh:// (DOCKER_HOST, or this machine's)",
        ),
        Key("tls", common.tls, "directory with ca.pem, cert.pem and key.pem for a tcp:// engine (DOCKER_CERT_PATH)"),
        Key(
            "base",
            Text(pattern=IMAGE, what="an image's name"),
            "image that serving images are built on (python:3.11-slim)",
        ),
        Key(
            "push",
            Text(pattern=IMAGE, what="a repository's name"),
            "repository on a registry that serving images are pushed to (none)",
        ),
        Key(
            "wheels",
            Text(check=bad_path),
            "directory of wheels that images install from instead of the package index (none)",
        ),
        Key("sbom", Flag(), "keep a bill of materials with each serving image, where syft is installed (true)"),
    ),
)

TELL = Section(
    "tell",
    (
        Key("statuses", Flag(), "statuses of commits: each pipeline and each gate (true)"),
        Key("deployments", Flag(), "deployments of environments (true)"),
        Key("comment", Flag(), "the comparison with the champion, as one comment of the pull request (true)"),
        Key("releases", Flag(), "a release with notes for each promoted version; needs git.tags (false)"),
    ),
)

_written = Secret(plain=lambda _: "", always=True)
_number = Text(pattern=r"[0-9A-Za-z.]{1,40}", what="a number")

HOST = Section(
    "host",
    (
        Key("kind", PluginName("hosts"), "github, gitlab, gitea (Forgejo too), or git for none of them", required=True),
        Key("repo", Text(), "owner/name on the host; for git: what it fetches from", required=True),
        Key("token", _written, "access token; take it from the environment: ${GITHUB_TOKEN}"),
        Key("token_file", Text(check=bad_local), "file with the token, which only you may read (mode 600)"),
        Key(
            "app",
            Section(
                "app",
                (
                    Key("id", _number, "the App's number, or its client id", required=True),
                    Key("installation", _number, "number of its installation", required=True),
                    Key("key_file", Text(check=bad_local), "file with its private key (mode 600)", required=True),
                ),
            ),
            "GitHub App that asks instead of a person; check runs need one",
        ),
        Key("url", Text(pattern=r"https?://\S+", what="an http(s) address"), "address of a host of your own"),
        Key("tell", TELL, "what the host is told"),
    ),
)

GIT = Section(
    "git",
    (
        Key("branch", common.branch, "the branch that releases come from (main)"),
        Key("host", HOST, "where the repository is hosted"),
        Key(
            "remote", Text(check=bad_remote), "repository that pushes arrive at: a remote's name, an address or a path"
        ),
        Key("webhook_secret", _written, "secret of the host's webhook, for `podium watch --listen`: ${WEBHOOK_SECRET}"),
        Key("poll", Duration(low=1.0), "time between two looks at the host or remote (30s)"),
        Key("tags", Flag(), "record versions and promotions as tags of the repository (false)"),
    ),
)

MLFLOW = Section(
    "mlflow",
    (
        Key(
            "tracking_uri",
            Text(),
            "tracking store: an http(s) server or a local database (sqlite:///.podium/mlflow/mlflow.db)",
        ),
        Key(
            "registry_uri",
            Text(),
            "where models and their versions are, where that is another store than the runs' (that of tracking_uri)",
        ),
        Key("experiment", Text(), "MLflow experiment (the project's name)"),
        Key(
            "model",
            Text(check=bad_model),
            "registered model (the project's name)",
        ),
        Key(
            "artifacts",
            Text(check=bad_local),
            "directory where a server of this machine keeps artifacts that it does not serve itself (none)",
        ),
    ),
)
