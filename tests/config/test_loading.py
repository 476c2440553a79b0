"""What a good podium.yaml becomes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from podium.core import plugins
from podium.core.config import find_root, load
from podium.core.config.variables import looks_secret
from podium.core.domain.project import AnalysisRule, Batch, Hold, Project
from podium.core.domain.watching import CANARY_SIGNALS
from podium.core.errors import ConfigError, UsageError
from podium.core.telemetry.windows import Window

from tests.plugin_package import package
from tests.runner.scale import scaled
from tests.support import calls

Read = Callable[..., Project]

FLIGHTS = """
project: flight-delay
git:      {branch: main, host: {kind: github, repo: acme/flight-delay, token: "${GITHUB_TOKEN}"}}
mlflow:   {tracking_uri: "sqlite:///.podium/mlflow.db", experiment: flight-delay, model: flight-delay}
pipelines:
  release:
    on: {push: main, schedule: "0 3 * * 1", alert: [input-drift]}
    params: {until: 2013-03}
    steps:
      unit:       {run: pytest -q tests}
      data:       {run: "python prepare.py --until ${{ params.until }}", inputs: [prepare.py], outputs: [data/]}
      train:
        needs: [unit, data]
        matrix: {depth: [4, 8], rate: [0.05, 0.1]}
        run: python train.py --depth ${{ matrix.depth }} --rate ${{ matrix.rate }}
        inputs: [train.py, data/]
        timeout: 20m
        retries: 1
      candidate:  {uses: register, needs: [train], metric: roc_auc, goal: maximize}
      gate:       {uses: gate, needs: [candidate], gate: quality}
      image:      {uses: image, needs: [gate]}
      staging:    {uses: deploy, needs: [image], environment: staging}
      production: {uses: promote, needs: [staging], environment: production, approval: required}
gates:
  quality:
    data: data/test.parquet
    target: late
    checks:
      - {metric: roc_auc, at_least: 0.65}
      - {metric: roc_auc, compare: champion, margin: 0.005, confidence: 0.95}
      - {metric: recall, at_least: 0.3, slices: [carrier, origin], min_rows: 200}
      - {latency: p95, at_most: 50ms}
      - {schema: unchanged}
environments:
  staging:    {driver: process, port: 5101}
  production:
    driver: docker
    host: ssh://deploy@serving-1
    port: 5100
    replicas: 2
    protected: true
    keep: 3
    strategy: {canary: {weights: [5, 25, 50], interval: 2m, analysis: [{signal: error_rate, at_most: 0.01},
      {signal: latency_p95, compare: champion, margin: 20%}]}}
monitors:
  input-drift: {environment: production, drift: psi, reference: data/train.parquet, window: 1000}
alerts:
  input-drift: {monitor: input-drift, above: 0.2, for: 2, cooldown: 6h}
infra:
  serving: {terraform: infra/}
"""


def test_the_whole_of_the_design(read: Read, tmp_path: Path) -> None:
    project = read(FLIGHTS, GITHUB_TOKEN="s3cret")
    release = project.pipelines["release"]
    assert (project.name, project.root, project.home, project.secrets) == (
        "flight-delay",
        tmp_path,
        tmp_path,
        ("s3cret",),
    )
    assert project.git.host is not None and project.git.host.token == "s3cret" and "s3cret" not in repr(project)
    assert project.mlflow.tracking_uri == f"sqlite:///{tmp_path}/.podium/mlflow.db"
    assert (release.on.push, release.on.schedule, release.on.alert.names) == (("main",), "0 3 * * 1", ("input-drift",))
    assert release.params == {"until": "2013-03"}
    assert list(release.steps) == ["unit", "data", "train", "candidate", "gate", "image", "staging", "production"]
    train = release.steps["train"]
    assert train.matrix is not None and train.matrix.axes == {"depth": (4, 8), "rate": (0.05, 0.1)}
    assert (train.needs, train.timeout, train.retries, train.line) == (("unit", "data"), 1200.0, 1, 13)
    assert release.steps["candidate"].options == {"metric": "roc_auc", "goal": "maximize"}
    assert release.steps["production"].approval and not release.steps["staging"].approval
    checks = project.gates["quality"].checks
    assert [check.kind for check in checks] == ["metric", "metric", "metric", "latency", "schema"]
    assert (checks[1].compare, checks[1].margin, checks[1].goal) == ("champion", 0.005, "maximize")
    assert (checks[2].slices, checks[2].min_rows) == (("carrier", "origin"), 200)
    assert (checks[3].percentile, checks[3].at_most) == ("p95", 0.05)
    production = project.environments["production"]
    assert (production.driver, production.port, production.replicas, production.protected, production.keep) == (
        "docker",
        5100,
        2,
        True,
        3,
    )
    assert (production.strategy.kind, production.strategy.weights, production.strategy.interval) == (
        "canary",
        (5, 25, 50),
        120.0,
    )
    assert production.strategy.analysis[1] == AnalysisRule("latency_p95", compare="champion", margin=0.2)
    assert project.environments["staging"].strategy.kind == "blue-green"
    drift = project.monitors["input-drift"]
    assert (drift.kind, drift.measure, drift.rows, drift.window, drift.every) == ("drift", "psi", 1000, None, 3600.0)
    assert (drift.reference.file, drift.of) == ("data/train.parquet", "inputs")
    assert (project.alerts["input-drift"].for_, project.alerts["input-drift"].cooldown) == (Hold(2), 21600.0)
    assert (project.infra["serving"].kind, project.infra["serving"].path) == ("terraform", "infra/")


def test_defaults_of_the_smallest_project(read: Read, tmp_path: Path) -> None:
    project = read("project: small\n")
    assert (project.mlflow.experiment, project.mlflow.model, project.git.branch) == ("small", "small", "main")
    assert project.mlflow.tracking_uri == f"sqlite:///{tmp_path}/.podium/mlflow/mlflow.db" and project.mlflow.embedded
    assert project.mlflow.artifact_directory(project.state) == tmp_path / ".podium/mlflow/artifacts"
    assert project.state == tmp_path / ".podium" and not project.pipelines and not project.environments


def test_a_worktree_keeps_its_state_at_home(tmp_path: Path) -> None:
    tree, home = tmp_path / "tree", tmp_path / "a home, \"quoted\" 'ü'"
    tree.mkdir()
    home.mkdir()
    (tree / "podium.yaml").write_text("project: p\n")
    project = load(tree, home=home, environ={})
    assert (project.root, project.home, project.state) == (tree, home, home / ".podium")
    assert project.mlflow.tracking_uri == f"sqlite:///{home}/.podium/mlflow/mlflow.db"


@pytest.mark.parametrize("left", ["mlflow.db", "artifacts/"], ids=["its database", "its artifacts alone"])
def test_a_store_that_is_older_than_its_directory_stays_where_it_is(read: Read, tmp_path: Path, left: str) -> None:
    """Also while its database is away for a moment: a new one in another place would take its place for good."""
    file = tmp_path / ".podium" / left
    file.parent.mkdir()
    file.mkdir() if left.endswith("/") else file.touch()
    mlflow = read("project: old\n").mlflow
    assert mlflow.tracking_uri == f"sqlite:///{tmp_path}/.podium/mlflow.db"
    assert mlflow.artifact_directory(tmp_path / ".podium") == tmp_path / ".podium/artifacts"
    newer = tmp_path / ".podium/mlflow/mlflow.db"
    newer.parent.mkdir()
    newer.touch()
    assert read("project: old\n").mlflow.tracking_uri == f"sqlite:///{newer}"


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("sqlite:///x.db", "sqlite:///{home}/x.db"),
        ("sqlite:////var/x.db", "sqlite:////var/x.db"),
        ("mlruns", "file://{home}/mlruns"),
        ("http://tracking:5000", "http://tracking:5000"),
        ("postgresql://db/x", "postgresql://db/x"),
        ("databricks", "databricks"),
    ],
)
def test_local_stores_lie_under_the_project(read: Read, tmp_path: Path, written: str, becomes: str) -> None:
    project = read(f"project: p\nmlflow: {{tracking_uri: '{written}'}}\n")
    assert project.mlflow.tracking_uri == becomes.format(home=tmp_path)
    assert project.mlflow.embedded == (not written.startswith("http"))


def test_words_that_yaml_would_guess_about_stay_words(read: Read) -> None:
    project = read("""
        project: no
        pipelines:
          on:
            on: {push: yes}
            params: {day: 2013-03-01, month: 2013-03, version: 3.10, sexagesimal: 1:30, octal: 010, empty: , yes: on}
            steps: {y: {run: "true", matrix: {python: [3.9, 3.10], zero: [007], rate: [0.10, 1e-3], flag: [true, on]}}}
    """)
    pipeline = project.pipelines["on"]
    assert (project.name, pipeline.on.push) == ("no", ("yes",))
    written = {
        "day": "2013-03-01",
        "month": "2013-03",
        "version": "3.10",
        "sexagesimal": "1:30",
        "octal": "010",
        "empty": "",
        "yes": "on",
    }
    assert pipeline.params == written
    matrix = pipeline.steps["y"].matrix
    assert matrix is not None
    assert matrix.axes == {"python": (3.9, "3.10"), "zero": ("007",), "rate": ("0.10", "1e-3"), "flag": (True, "on")}


def test_variables(read: Read) -> None:
    text = """
        project: ${NAME}
        pipelines:
          p:
            steps:
              s: {run: 'echo "${HOME}" ${X:-y}', env: {A: "${A}", B: "${B:-b c}", C: "$${C}", D: "${{ params.d }}", E: "${EMPTY:-full}"}}
            params: {d: "${A}-${B:-}"}
        environments: {prod: {port: "${PORT}", replicas: "${COUNT:-2}"}}
    """
    project = read(text, NAME="fly", A="1", PORT="5105", EMPTY="")
    step = project.pipelines["p"].steps["s"]
    assert step.run == 'echo "${HOME}" ${X:-y}', "the shell fills these in"
    assert step.env == {"A": "1", "B": "b c", "C": "${C}", "D": "${{ params.d }}", "E": "full"}
    assert project.pipelines["p"].params == {"d": "1-"}
    assert (project.name, project.environments["prod"].port, project.environments["prod"].replicas) == ("fly", 5105, 2)
    assert project.secrets == ()


def test_values_of_secret_looking_variables_are_remembered(read: Read) -> None:
    text = (
        "project: p\nenv: {A: '${API_TOKEN}', B: 'x ${DB_PASSWORD} y', C: '${AWS_SECRET_ACCESS_KEY}', D:"
        " '${HOCKEYTEAM}', E: '${MY_TOKEN:-none}'}\n"
    )
    project = read(text, API_TOKEN="t0", DB_PASSWORD="p0", AWS_SECRET_ACCESS_KEY="k0", HOCKEYTEAM="blue")
    assert sorted(project.secrets) == ["k0", "p0", "t0"]


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("KEY", True),
        ("KEY_ID", True),
        ("MY_KEYS", True),
        ("APIKEY", True),
        ("OPENAIKEY", True),
        ("apikey", True),
        ("APIKEY_OLD", True),
        ("APIKEY2", True),
        ("MAX_TOKENS", False),
        ("MAX_NEW_TOKENS", False),
        ("TOKENIZER", False),
        ("SORT_KEY", False),
        ("EOS_TOKEN", False),
        ("HF_TOKENS", True),
        ("MAX_TOKENS_API_KEY", True),
        ("TOKENIZER_TOKEN", True),
        ("HOCKEYTEAM", False),
        ("MONKEYS", False),
        ("KE", False),
        ("PORT", False),
    ],
)
def test_a_word_that_begins_or_ends_with_key_is_secret(name: str, secret: bool) -> None:
    assert looks_secret(name) is secret


def test_a_canary_analyses_only_what_is_measured_of_each_version() -> None:
    seen = Window(100, 1, {0.01: 50.0, float("inf"): 100.0})
    assert all(seen.value(signal) is not None for signal in CANARY_SIGNALS)


def test_the_reason_of_a_forced_promotion_is_kept_as_written(read: Read) -> None:
    project = read("""
        project: p
        pipelines:
          p:
            params: {why: ""}
            steps:
              words: {uses: promote, environment: e, force: "no gate yet: OPS-12"}
              param: {uses: promote, environment: e, force: "${{ params.why }}"}
              none: {uses: promote, environment: e}
        environments: {e: {}}
    """)
    steps = project.pipelines["p"].steps
    assert (steps["words"].options["force"], steps["param"].options["force"]) == (
        "no gate yet: OPS-12",
        "${{ params.why }}",
    )
    assert "force" not in steps["none"].options


def test_what_nothing_acts_on_yet_is_told(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read("project: p\npipelines: {p: {on: {push: main}, steps: {s: {run: x}}}}\n").idle == ()
    monkeypatch.setitem(plugins.TABLE["drivers"], "nomad", plugins.Plugin())
    text = FLIGHTS.replace("{driver: process, port: 5101}", "{driver: nomad, port: 5101}")
    project = read(text, GITHUB_TOKEN="a-token")
    nobody = "accepted, but no installed package implements it, so"
    assert project.idle == (f"environments.staging.driver: nomad: {nobody} a change there will fail",)
    package(tmp_path / "site", {"drivers": {"nomad": "far:Nomad"}})
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert len(read(text, GITHUB_TOKEN="a-token").idle) == 0, "a package that brings it acts on it"


def test_a_monitor_knows_its_kind_its_window_and_its_reference(read: Read) -> None:
    monitors = read("""
        project: p
        gates: {g: {data: a.csv, target: y, checks: [{metric: f1, at_least: 0.5}]}}
        environments: {e: {port: 5101}}
        monitors:
          errors: {environment: e, signal: error_rate}
          slow: {environment: e, signal: latency_p95, window: 5m, every: 30s}
          age: {environment: e, freshness: data, path: data}
          first: {environment: e, drift: ks, of: predictions, reference: {first: 500}, window: 24h}
          gate: {environment: e, drift: js, reference: {gate: g}}
          season: {environment: e, drift: js, reference: {same: weekday}}
          real: {environment: e, quality: f1, gate: g, window: 50}
          guess: {environment: e, estimate: f1, gate: g, every: 2h}
          labels: {environment: e, labels: share}
          rows: {environment: e, data: unseen, reference: a.csv, columns: x}
    """).monitors
    assert [each.kind for each in monitors.values()] == [
        "signal",
        "signal",
        "freshness",
        *["drift"] * 3,
        "quality",
        "estimate",
        "labels",
        "data",
    ]
    assert (monitors["errors"].window, monitors["errors"].every) == (60.0, 60.0)
    assert (monitors["slow"].measure, monitors["slow"].window, monitors["slow"].every) == ("latency_p95", 300.0, 30.0)
    assert (monitors["age"].measure, monitors["age"].path, monitors["age"].every) == ("data", "data", 3600.0)
    assert (monitors["first"].reference.first, monitors["first"].rows, monitors["first"].window) == (500, None, 86400.0)
    assert (monitors["real"].gate, monitors["real"].rows, monitors["guess"].every) == ("g", 50, 7200.0)
    assert (monitors["labels"].window, monitors["labels"].rows) == (7 * 86400.0, None)
    assert (monitors["rows"].measure, monitors["rows"].columns) == ("unseen", ("x",))
    assert (monitors["gate"].reference.gate, monitors["season"].reference.same) == ("g", "weekday")


def test_anchors_and_merges(read: Read) -> None:
    project = read("""
        project: p
        pipelines:
          p:
            steps:
              a: &base {run: echo a, timeout: 5s, retries: 2}
              b: {<<: *base, run: echo b}
              c: *base
    """)
    steps = project.pipelines["p"].steps
    assert (steps["b"].run, steps["b"].timeout, steps["b"].retries) == ("echo b", 5.0, 2)
    assert steps["c"].run == "echo a"


def test_a_merge_brings_in_what_the_section_is_chosen_by_and_what_others_merged(read: Read) -> None:
    project = read("""
        project: p
        pipelines:
          p:
            steps:
              a: &base {run: echo a, timeout: 5s}
              b: {<<: *base, needs: [a]}
              c: {run: echo c, env: &e1 {X: "1"}}
              d: {run: echo d, env: &e2 {<<: *e1, Y: "2"}}
              e: {run: echo e, env: {<<: *e2, Z: "3"}}
              f: {run: echo f, env: {X: "9", <<: [*e1, *e2]}}
    """)
    steps = project.pipelines["p"].steps
    assert (steps["b"].run, steps["b"].timeout, steps["b"].needs) == ("echo a", 5.0, ("a",))
    assert dict(steps["e"].env) == {"X": "1", "Y": "2", "Z": "3"}
    assert dict(steps["f"].env) == {"X": "9", "Y": "2"}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("50ms", 0.05), ("20m", 1200), ("1h30m", 5400), ("1.5s", 1.5), ("2d", 172800), ("1w", 604800), ("0", 0)],
)
def test_durations(read: Read, written: str, seconds: float) -> None:
    project = read(f"project: p\npipelines: {{p: {{steps: {{s: {{run: x, backoff: {written}}}}}}}}}\n")
    assert project.pipelines["p"].steps["s"].backoff == pytest.approx(seconds)


def test_a_byte_order_mark_and_windows_lines(read: Read) -> None:
    assert read(b"\xef\xbb\xbfproject: p\r\ngit:\r\n  branch: dev\r\n").git.branch == "dev"


def test_find_root(tmp_path: Path) -> None:
    root = tmp_path / "a b" / "pröject"
    deep = root / "x" / "y"
    worktree = root / ".podium" / "worktrees" / "7"
    for directory in (deep, worktree):
        directory.mkdir(parents=True)
    (root / "podium.yaml").write_text("project: p\n")
    (worktree / "podium.yaml").write_text("project: p\n")
    assert find_root(deep) == find_root(root) == root
    assert find_root(worktree) == root, "a run's worktree is not a project of its own"
    with pytest.raises(UsageError) as caught:
        find_root(tmp_path)
    assert caught.value.exit_code == 2 and "podium init" in caught.value.hint
    (tmp_path / "podium.yml").touch()
    with pytest.raises(UsageError) as caught:
        find_root(tmp_path)
    assert "rename" in caught.value.hint


def test_it_is_quick_and_loads_nothing_big(read: Read, tmp_path: Path) -> None:
    read(FLIGHTS, GITHUB_TOKEN="x")
    # 10 ms on a quiet machine.
    assert calls(lambda: load(tmp_path, environ={"GITHUB_TOKEN": "x"})) < 60_000
    code = (
        "import sys, pathlib, podium.core.config as config\nassert 'yaml' not in"
        f" sys.modules\nconfig.load(pathlib.Path({str(tmp_path)!r}), environ={{'GITHUB_TOKEN': 'x'}})\nbad ="
        " {'mlflow', 'pandas', 'numpy', 'httpx', 'textual', 'rich', 'typer', 'importlib.metadata'} &"
        " set(sys.modules)\nassert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=scaled(60))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("written", "expected"),
    [("", None), ("batch: {}", Batch(64, 0.002)), ("batch: {max: 8, wait: 5ms}", Batch(8, 0.005))],
)
def test_batches_are_off_unless_they_are_written(tmp_path: Path, written: str, expected: Batch | None) -> None:
    (tmp_path / "podium.yaml").write_text(
        "project: p\npipelines: {m: {steps: {a: {run: 'true'}}}}\n"
        f"environments:\n  e:\n    port: 5100\n    {written}\n"
    )
    assert load(tmp_path).environments["e"].batch == expected


def test_keys_for_anchors_are_nobodys(read: Read) -> None:
    project = read(
        "project: x\nx-common: &common {run: train, retries: 2, nobody: knows}\nx-more: [1, {a: b}]\n"
        "x-step: &step {run: echo, retries: 2}\npipelines: {p: {steps: {a: {<<: *step}}}}\n"
    )
    assert project.pipelines["p"].steps["a"].retries == 2
    with pytest.raises(ConfigError):
        read("project: x\npipelines: {p: {x-y: 1, steps: {a: {run: a}}}}\n")  # only at the top


@pytest.mark.parametrize("written", ["push", "[push]", "[push, pull_request]"])
def test_the_short_forms_of_other_tools_are_told_the_long_one(read: Read, written: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"project: x\npipelines: {{p: {{on: {written}, steps: {{a: {{run: a}}}}}}}}\n")
    assert [(each.key, "on: {push: main}" in each.hint) for each in caught.value.problems] == [("pipelines.p.on", True)]


MODELS = """\
project: bank
mlflow: {model: churn}
pipelines:
  p:
    params: {which: fraud}
    steps:
      made: {uses: register, metric: score, goal: maximize, model: "%s"}
      there: {uses: deploy, environment: %s, needs: [made]}
environments: {retention: {port: 5100}, payments: {port: 5101, model: fraud}}
"""


def test_environments_serve_the_projects_model_or_the_one_they_name(read: Read) -> None:
    project = read(MODELS % ("fraud", "payments"))
    assert [project.model_of(each) for each in ("retention", "payments", "gone")] == ["churn", "fraud", "churn"]
    assert project.models == ("churn", "fraud")
    assert project.models_made_by(project.pipelines["p"]) == ("fraud",)
    assert read(MODELS % ("${{ params.which }}", "retention")).models == ("churn", "fraud"), "known when it runs"


def test_a_step_that_delivers_another_model_than_its_environment_serves_is_refused(read: Read) -> None:
    for made, where in (("fraud", "retention"), ("churn", "payments")):
        with pytest.raises(ConfigError) as caught:
            read(MODELS % (made, where))
        assert [each.key for each in caught.value.problems] == ["pipelines.p.steps.there.environment"]
        assert f"`{made}`" in caught.value.problems[0].message


@pytest.mark.parametrize(("one", "other", "clash"), [("localhost", "::1", True), ("localhost", "127.0.0.2", False)])
def test_localhost_is_both_addresses_to_two_environments_of_one_port(
    read: Read, one: str, other: str, clash: bool
) -> None:
    text = f"project: p\nenvironments: {{a: {{port: 5100, bind: '{one}'}}, b: {{port: 5100, bind: '{other}'}}}}\n"
    if not clash:
        assert read(text).environments["a"].bind == "localhost"
        return
    with pytest.raises(ConfigError, match="already that of environment `a`"):
        read(text)
