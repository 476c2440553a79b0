"""What the agent shows Prometheus: the real one reads it."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from podium.core.alerts.evaluate import evaluate
from podium.core.alerts.exposition import FAMILIES, escaped, exposition, number
from podium.core.config.loading import from_text
from podium.core.domain.delivery import DeploymentState, How
from podium.core.domain.project import Project
from podium.core.domain.watching import Sample
from podium.core.errors import ConfigError, Refused, UsageError
from podium.core.journal import Journal
from podium.core.triggers.metrics import Metrics, may_show

from tests.conftest import required
from tests.runner.scale import scaled
from tests.servers import prometheus
from tests.support import wait_until

from .scene import MONITORS, NOW, measured, project

ROOT = Path(__file__).parents[2]
ALERTS = """\
  errors-high: {monitor: errors, above: 0.1, severity: critical, labels: {team: 'a "b" \\ c'}}
  slow: {monitor: latency, above: 1s}
"""
NAMES = {each.name for each in FAMILIES}
SIGNALS = {"requests": 20.0, "error_rate": 0.5, "latency_p95": 0.02, "cpu": 0.3, "memory": 5e7}


@pytest.fixture
def config(tmp_path: Path) -> Project:
    return project(tmp_path, ALERTS, 'notify: {sinks: {one: {webhook: "http://127.0.0.1:1/"}}}\n')


@pytest.fixture
def journal(config: Project) -> Iterator[Journal]:
    with Journal.open(config.state / "journal.db") as journal:
        evaluate(config, journal, NOW)
        journal.measurements.add(replace(measured(0.5), low=0.4, high=0.6, critical=0.2))
        evaluate(config, journal, NOW)
        journal.samples.add(Sample("production", name, NOW - 1, value) for name, value in SIGNALS.items())
        journal.agent.claim(1, NOW, "anna")
        yield journal


def test_what_is_shown(config: Project, journal: Journal) -> None:
    text = exposition(config, journal, NOW)
    for line in (
        'podium_alerts{label_team="a \\"b\\" \\\\ c",alertname="errors-high",environment="production",monitor="errors",'
        'severity="critical",alertstate="firing"} 1.0',
        'podium_alert_absent{alertname="slow",environment="staging"} 1.0',
        'podium_monitor_value{monitor="errors",environment="production",kind="signal"} 0.5',
        'podium_latency_seconds{environment="production",percentile="95"} 0.02',
        'podium_sink_waiting{sink="one",kind="webhook"} 0.0',
    ):
        assert line in text.splitlines()
    assert "staging" not in "".join(line for line in text.splitlines() if line.startswith("podium_requests")), (
        "what was not measured has no series"
    )


def test_values_and_labels() -> None:
    assert [number(each) for each in (1, 0.1, float("nan"), float("inf"), float("-inf"))] == [
        "1.0",
        "0.1",
        "NaN",
        "+Inf",
        "-Inf",
    ]
    assert escaped('a\\b"c\nd\ud800') == 'a\\\\b\\"c\\nd?'


def test_promtool_finds_nothing_wrong(config: Project, journal: Journal) -> None:
    required(prometheus.missing_prometheus())
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=exposition(config, journal, NOW).encode(),
        capture_output=True,
        timeout=scaled(30),
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_the_dashboard_names_only_what_there_is(config: Project, journal: Journal) -> None:
    dashboard = json.loads((ROOT / "examples" / "grafana" / "podium.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [each["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    named = {name for expression in asked for name in re.findall(r"podium_\w+", expression)}
    assert len(asked) > 15 and named <= NAMES
    labels = {name for expression in asked for name in re.findall(r'(\w+)=~?"', expression)}
    assert labels <= set(re.findall(r'(\w+)="', exposition(config, journal, NOW)))


def test_the_dashboard_is_one_that_grafana_can_show() -> None:
    dashboard = json.loads((ROOT / "examples" / "grafana" / "podium.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references), panel["title"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells), "two panels lie on each other"
    assert max(x for x, _ in cells) < 24, "the grid has 24 columns"


@pytest.fixture
def shown(config: Project, journal: Journal) -> Iterator[Callable[..., Metrics]]:
    made: list[Metrics] = []

    def start(project: Project = config, where: str = "127.0.0.1:0") -> Metrics:
        made.append(Metrics(lambda: project, where))
        made[-1](project, journal)
        return made[-1]

    yield start
    for each in made:
        each.close()


def status(url: str, token: str = "") -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=scaled(10)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("token", ["", "a-token-of-tests"])
def test_a_real_prometheus_scrapes_it(
    config: Project,
    shown: Callable[..., Metrics],
    scraping: Callable[..., prometheus.Prometheus],
    token: str,
) -> None:
    metrics = shown(replace(config, metrics=replace(config.metrics, token=token)))
    server = scraping(f"127.0.0.1:{metrics.port}", token=token)
    (found,) = wait_until(lambda: server.query('podium_alerts{alertstate="firing"}'), 60.0)
    assert (found["metric"]["alertname"], found["metric"]["label_team"]) == ("errors-high", 'a "b" \\ c')
    assert {each["metric"]["__name__"] for each in server.query('{__name__=~"podium_.+"}')} <= NAMES


def test_every_panel_shows_what_the_real_prometheus_has(
    config: Project, journal: Journal, shown: Callable[..., Metrics], scraping: Callable[..., prometheus.Prometheus]
) -> None:
    """Each expression of the dashboard, as Grafana fills it in for all environments, asked of the real one."""
    row = journal.ledger.begin(
        environment="production", how=How.DEPLOY, model="m", to_version=1, from_version=None, who="anna"
    )
    journal.ledger.finish(row.id, DeploymentState.SUCCEEDED)
    dashboard = json.loads((ROOT / "examples" / "grafana" / "podium.json").read_text())
    targets = [target for panel in dashboard["panels"] for target in panel["targets"]]
    expressions = [target["expr"].replace("$environment", ".*") for target in targets]
    assert not [each for each in expressions if "$" in each], "a variable that the dashboard does not have"
    server = scraping(f"127.0.0.1:{shown().port}")

    def found(expression: str) -> object:
        now = time.time()  # live signals are those of the last seconds
        journal.samples.add(Sample("production", name, now, value) for name, value in SIGNALS.items())
        return server.query(expression)

    for expression in expressions:
        assert wait_until(lambda expression=expression: found(expression), 60.0), expression
    values = server.get("/api/v1/label/environment/values?match[]=podium_alerts")["data"]
    assert values == ["production", "staging"], "what its variable offers"


def test_who_may_see_it(config: Project, shown: Callable[..., Metrics]) -> None:
    url = f"http://127.0.0.1:{shown().port}"
    assert (status(f"{url}/metrics"), status(f"{url}/")) == (200, 404)
    closed = shown(replace(config, metrics=replace(config.metrics, token="right")))
    url = f"http://127.0.0.1:{closed.port}/metrics"
    assert [status(url, token) for token in ("", "wrong", "right")] == [401, 401, 200]
    closed = shown(replace(config, metrics=replace(config.metrics, token="schlüssel")))
    url = f"http://127.0.0.1:{closed.port}/metrics"
    assert status(url, "schlüssel".encode().decode("latin-1")) == 200, "its bytes, as urllib writes them"


def test_where_it_may_be_shown(config: Project, shown: Callable[..., Metrics]) -> None:
    assert may_show("9469", "") == ("127.0.0.1", 9469)
    assert may_show("[::1]:9469", "") == ("::1", 9469)
    assert may_show("0.0.0.0:9469", "x") == ("0.0.0.0", 9469)
    with pytest.raises(Refused, match="everybody there could read"):
        may_show("0.0.0.0:9469", "")
    with pytest.raises(UsageError, match="--metrics"):
        may_show("here", "")
    taken = shown()
    with pytest.raises(Refused, match="Address already in use"):
        shown(where=f"127.0.0.1:{taken.port}")


def test_it_follows_podium_yaml(config: Project, journal: Journal) -> None:
    text = f"{MONITORS}metrics: {{listen: '0'}}\n"
    there = from_text(text, "podium.yaml", config.home, config.home, {})
    metrics = Metrics(lambda: there)
    metrics(config, journal)
    assert metrics.port == 0
    metrics(there, journal)
    port = metrics.port
    metrics(there, journal)
    assert port and metrics.port == port
    metrics(config, journal)
    assert metrics.port == 0
    with pytest.raises(ConfigError, match="neither a port nor"):
        from_text(f"{MONITORS}metrics: {{listen: here}}\n", "podium.yaml", config.home, config.home, {})


def test_a_journal_that_is_not_there_is_no_crash(config: Project, tmp_path: Path) -> None:
    elsewhere = replace(config, home=tmp_path / "nowhere")
    metrics = Metrics(lambda: elsewhere, "127.0.0.1:0")
    with Journal.open(config.state / "journal.db") as journal:
        metrics(elsewhere, journal)
    try:
        assert status(f"http://127.0.0.1:{metrics.port}/metrics") == 503
    finally:
        metrics.close()


def test_grafanas_own_schema_knows_the_dashboard() -> None:
    """Read and written again by the models that Grafana publishes: what they do not know is lost on the way."""
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
    encoder = pytest.importorskip("grafana_foundation_sdk.cog.encoder")
    pytest.importorskip("grafana_foundation_sdk.cog.plugins").register_default_plugins()
    dashboard = json.loads((ROOT / "examples" / "grafana" / "podium.json").read_text())
    known = json.loads(encoder.JSONEncoder(sort_keys=True).encode(models.Dashboard.from_json(dashboard)))
    assert list(lost(dashboard, known)) == [".templating.list[1].definition"], (
        "the text of the variable, for its editor"
    )


def lost(before: object, after: object, path: str = "") -> Iterator[str]:
    """Where `after` does not have what `before` has."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(value, after.get(key), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{place}]")
    elif before != after:
        yield path
