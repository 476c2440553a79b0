"""What podium.yaml may say of alerts, and what it is told where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.config.loading import from_text
from podium.core.domain.monitoring import MonitorKind
from podium.core.domain.monitors.thresholds import threshold
from podium.core.domain.project import AlertRule, Hold, MonitorSpec, Notify, Project, Sink
from podium.core.errors import ConfigError

WATCHED = """\
project: p
environments: {e: {}}
monitors:
  m: {environment: e, signal: error_rate}
  drift: {environment: e, drift: psi, reference: a.csv}
  js: {environment: e, drift: js, reference: a.csv}
"""
DRIFT = MonitorSpec("drift", MonitorKind.DRIFT, "e", "psi")


def read(text: str, **environ: str) -> Project:
    return from_text(WATCHED + text, "podium.yaml", Path("/p"), Path("/p"), environ)


def alert(keys: str, monitor: str = "m") -> AlertRule:
    return read(f"alerts: {{a: {{monitor: {monitor}, {keys}}}}}\n").alerts["a"]


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ("for: 2", "", "has none of `above`, `below` and `false_alarms`"),
        ("above: 0.5, below: 0.2", ".below", "has both `above` and `below`"),
        ("above: 0.5, false_alarms: 1/month", ".false_alarms", "has both `above` and `false_alarms`"),
        ("false_alarms: often", ".false_alarms", "`often` is not a rate"),
        ("false_alarms: 0/day", ".false_alarms", "`0/day` is out of range"),
        ("false_alarms: 99/day", ".false_alarms", "`99/day` is out of range"),
        ("above: 0.5, for: 0", ".for", "`0` is out of range"),
        ("above: 0.5, for: soon", ".for", "`soon` is neither a number of measurements nor a length of time"),
        ("above: 0.5, severity: bad", ".severity", "`bad` is not known"),
        ("above: 0.5, labels: {severity: x}", ".labels.severity", "is Podium's own label"),
        ("above: 0.5, labels: {a-b: x}", ".labels.a-b", "cannot be the name of a label"),
        ("above: 0.5, annotations: {a-b: x}", ".annotations.a-b", "cannot be the name of an annotation"),
        ("above: 0.5, annotations: {a: '${{ alert.nope }}'}", ".annotations.a", "unknown value `${{ alert.nope }}`"),
        ("above: 0.5, annotations: {a: '${{ params.x }}'}", ".annotations.a", "unknown value `${{ params.x }}`"),
        ("above: 0.5, annotations: {a: '${{ alert'}", ".annotations.a", "`${{` is not closed"),
    ],
)
def test_what_no_alert_may_say(keys: str, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        alert(keys, "drift" if "false_alarms" in keys else "m")
    (problem,) = caught.value.problems
    assert problem.key == f"alerts.a{key}" and message in problem.message


def test_how_long_it_lasts() -> None:
    assert alert("above: 0.5").for_ == Hold(1, 0.0)
    assert alert("above: 0.5, for: 3").for_ == Hold(3, 0.0)
    assert alert("above: 0.5, for: 1h30m").for_ == Hold(1, 5400.0)


@pytest.mark.parametrize(
    ("text", "rate"), [("1/month", 1 / 30), ("2/week", 2 / 7), ("0.5 / day", 0.5), ("1/year", 1 / 365)]
)
def test_rates(text: str, rate: float) -> None:
    found = alert(f"false_alarms: {text}", "drift")
    assert (found.false_alarms, found.above, found.below) == (pytest.approx(rate), None, None)


@pytest.mark.parametrize(
    ("monitor", "keys", "value"),
    [
        ("signal: memory", "above: 2g", 2 << 30),
        ("signal: memory", "above: 500 MB", 500 << 20),
        ("signal: memory", "above: 1000000", 1e6),
        ("signal: latency_p95", "above: 200ms", 0.2),
        ("signal: error_rate", "above: 5%", 0.05),
        ("freshness: model", "above: 30d", 30 * 86400.0),
        ("labels: delay", "above: 1d12h", 36 * 3600.0),
        ("signal: cpu", "above: 150%", 1.5),
        ("drift: psi, reference: a.csv", "above: '${LIMIT:-3}'", 3.0),
        ("infra: i", "above: 0", 0.0),
    ],
)
def test_a_threshold_has_the_unit_of_what_is_measured(monitor: str, keys: str, value: float) -> None:
    where = "" if monitor.startswith("infra") else "environment: e, "
    watched = f"infra: {{i: {{terraform: t}}}}\nmonitors: {{m: {{{where}{monitor}}}}}\nalerts: {{a: {{monitor: m, {keys}}}}}\n"
    found = from_text(f"project: p\nenvironments: {{e: {{}}}}\n{watched}", "podium.yaml", Path("/p"), Path("/p"), {})
    assert found.alerts["a"].above == pytest.approx(value)


@pytest.mark.parametrize(
    ("monitor", "keys", "message", "hint"),
    [
        ("signal: memory", "above: 500m", "`500m` is a length of time, and `m` measures memory", "write 500MB or 2g"),
        ("signal: memory", "above: 80%", "`80%` is a share", "write 500MB or 2g"),
        ("signal: error_rate", "above: 50ms", "`50ms` is a length of time", "write 0.01 or 1%"),
        ("signal: latency_p50", "above: 5%", "`5%` is a share", "write 50ms, 5m or 30d"),
        ("signal: requests", "above: 2g", "`2g` is a size", "write 0.01 or 1%"),
        ("signal: error_rate", "above: 5", "no value is above `5`", "error_rate is never above 1: write 5% or 0.05"),
        ("signal: error_rate", "above: 1", "no value is above `1`", "error_rate is never above 1: write 1% or 0.01"),
        ("signal: error_rate", "above: 500%", "no value is above `500%`", "error_rate is never above 1"),
        ("signal: cpu", "below: 0", "no value is below `0`", "cpu is never below 0"),
        ("labels: share", "below: 0%", "no value is below `0%`", "share is never below 0"),
        ("data: any, reference: a.csv", "above: 1", "no value is above `1`", "any is never above 1"),
        ("drift: js, reference: a.csv", "above: 0.9", "no value is above `0.9`", "js is never above 0.8326"),
        ("quality: roc_auc, gate: q", "below: 0", "no value is below `0`", "roc_auc is never below 0"),
        ("estimate: f1, gate: q", "above: 60", "no value is above `60`", "f1 is never above 1: write 60% or 0.6"),
    ],
)
def test_a_threshold_that_no_value_is_beyond_is_told(monitor: str, keys: str, message: str, hint: str) -> None:
    gate = "gates: {q: {data: a.csv, target: y, task: binary, checks: [{metric: roc_auc, at_least: 0.5}]}}"
    text = f"{gate}\nmonitors: {{m: {{environment: e, {monitor}}}}}\nalerts: {{a: {{monitor: m, {keys}}}}}\n"
    with pytest.raises(ConfigError) as caught:
        from_text(f"project: p\nenvironments: {{e: {{}}}}\n{text}", "podium.yaml", Path("/p"), Path("/p"), {})
    (problem,) = caught.value.problems
    assert problem.key.startswith("alerts.a.") and message in problem.message
    assert hint in problem.hint and (not problem.hint.endswith(": write 500% or 5"))


@pytest.mark.parametrize(("band", "value"), [("moderate", 0.1), ("significant", 0.25)])
def test_bands_of_psi_have_names(band: str, value: float) -> None:
    found = alert(f"above: {band}", "drift")
    assert (found.above, found.band) == (value, band)
    assert threshold(found, DRIFT) == f"above {value:g} ({band})"
    assert alert("above: '${BAND:-significant}'", "drift").above == 0.25
    assert alert("above: 0.25", "drift").band == ""


@pytest.mark.parametrize(
    ("keys", "monitor", "message", "hint"),
    [
        ("above: significant", "m", "is a band of psi, and `m` measures error_rate", "say a number"),
        ("above: moderate", "js", "and `js` measures js", "say a number, or false_alarms: 1/month instead of above"),
        ("above: Significant", "drift", "is not a number or a band", "of psi also moderate or significant"),
        ("below: significant", "drift", "is not a number", "write 0.01"),
    ],
)
def test_where_a_band_cannot_stand(keys: str, monitor: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        alert(keys, monitor)
    (problem,) = caught.value.problems
    assert problem.key.startswith("alerts.a.") and message in problem.message and hint in problem.hint


def test_everything_else() -> None:
    found = alert(
        "below: 20%, keep_firing_for: 5m, severity: critical, labels: {team: x}, annotations: {summary: '${{ alert.value }}'}"
    )
    assert (found.below, found.keep_firing_for, found.severity, found.cooldown) == (0.2, 300.0, "critical", 3600.0)
    assert (found.labels, found.annotations) == ({"team": "x"}, {"summary": "${{ alert.value }}"})


def sink(text: str, **environ: str) -> Sink:
    return read(f"notify: {{sinks: {{s: {text}}}}}\n", **environ).notify.sinks["s"]


def test_sinks() -> None:
    assert read("").notify == Notify()
    assert sink("{webhook: 'http://127.0.0.1:1/'}") == Sink("s", "webhook", "http://127.0.0.1:1/", line=7)
    found = sink("{command: [./page.sh, --loud], env: {A: b}, timeout: 5s, resolved: false}")
    assert (found.kind, found.command, found.env) == ("command", ("./page.sh", "--loud"), {"A": "b"})
    assert (found.timeout, found.resolved) == (5.0, False)
    assert sink("{terminal: osc9}").rings == "osc9"
    assert sink("{apprise: '${CHAT}'}", CHAT="json://x").address == "json://x"


def test_what_comes_from_a_variable_is_a_secret_whatever_its_name() -> None:
    text = "notify: {sinks: {s: {webhook: '${WHERE}', key: '${WITH}'}, t: {command: [x], env: {A: '${B}'}}}}\n"
    found = read(text, WHERE="http://host/path-of-tests", WITH="a-key-of-tests", B="a-value")
    assert set(found.secrets) == {"http://host/path-of-tests", "a-key-of-tests", "a-value"}
    assert "path-of-tests" not in repr(found) and "a-key" not in repr(found)


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("{}", "", "needs one of the keys"),
        ("{apprise: 'json://x'}", ".apprise", "would stand in the file"),
        ("{webhook: 'http://a:b@x/'}", ".webhook", "holds what may be a secret"),
        ("{webhook: 'http://x/?token=b'}", ".webhook", "holds what may be a secret"),
        ("{webhook: 'ftp://x/'}", ".webhook", "is not an http(s) address"),
        ("{webhook: 'http://x/', key: abc}", ".key", "would stand in the file"),
        ("{alertmanager: 'http://x/', token: abc}", ".token", "would stand in the file"),
        ("{command: []}", ".command", ""),
        ("{command: [page, '${TOKEN}']}", ".command[1]", "everybody would see it"),
        ("{terminal: gong}", ".terminal", "`gong` is not known"),
        ("{webhook: 'http://x/', timeout: 2m}", ".timeout", "out of range"),
    ],
)
def test_what_no_sink_may_say(text: str, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sink(text, TOKEN="x")
    assert (f"notify.sinks.s{key}", True) in [(each.key, message in each.message) for each in caught.value.problems]


def test_an_alert_names_sinks_that_there_are() -> None:
    with pytest.raises(ConfigError, match="unknown sink `nope`"):
        alert("above: 0.5, notify: nope")
