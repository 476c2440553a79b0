"""What podium.yaml may say of alerts, and what it is told where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from podium.core.alerts.rules import words
from podium.core.config.loading import from_text
from podium.core.domain.project import AlertRule, Hold, Notify, Project, Sink
from podium.core.errors import ConfigError

WATCHED = """\
project: p
environments: {e: {}}
monitors:
  m: {environment: e, signal: error_rate}
  drift: {environment: e, drift: psi, reference: a.csv}
  js: {environment: e, drift: js, reference: a.csv}
"""


def read(text: str, **environ: str) -> Project:
    return from_text(WATCHED + text, "podium.yaml", Path("/p"), Path("/p"), environ)


def alert(keys: str, monitor: str = "m") -> AlertRule:
    return read(f"alerts: {{a: {{monitor: {monitor}, {keys}}}}}\n").alerts["a"]


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ("for: 2", "", "has none of `above`, `below` and `false_alarms`"),
        ("above: 1, below: 0", ".below", "has both `above` and `below`"),
        ("above: 1, false_alarms: 1/month", ".false_alarms", "has both `above` and `false_alarms`"),
        ("false_alarms: often", ".false_alarms", "`often` is not a rate"),
        ("false_alarms: 0/day", ".false_alarms", "`0/day` is out of range"),
        ("false_alarms: 99/day", ".false_alarms", "`99/day` is out of range"),
        ("above: 1, for: 0", ".for", "`0` is out of range"),
        ("above: 1, for: soon", ".for", "`soon` is neither a number of measurements nor a length of time"),
        ("above: 1, severity: bad", ".severity", "`bad` is not known"),
        ("above: 1, labels: {severity: x}", ".labels.severity", "is Podium's own label"),
        ("above: 1, labels: {a-b: x}", ".labels.a-b", "cannot be the name"),
        ("above: 1, annotations: {a: '${{ alert.nope }}'}", ".annotations.a", "unknown value `${{ alert.nope }}`"),
        ("above: 1, annotations: {a: '${{ params.x }}'}", ".annotations.a", "unknown value `${{ params.x }}`"),
        ("above: 1, annotations: {a: '${{ alert'}", ".annotations.a", "`${{` is not closed"),
    ],
)
def test_what_no_alert_may_say(keys: str, key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        alert(keys, "drift" if "false_alarms" in keys else "m")
    (problem,) = caught.value.problems
    assert problem.key == f"alerts.a{key}" and message in problem.message


def test_how_long_it_lasts() -> None:
    assert alert("above: 1").for_ == Hold(1, 0.0)
    assert alert("above: 1, for: 3").for_ == Hold(3, 0.0)
    assert alert("above: 1, for: 1h30m").for_ == Hold(1, 5400.0)


@pytest.mark.parametrize(
    ("text", "rate"), [("1/month", 1 / 30), ("2/week", 2 / 7), ("0.5 / day", 0.5), ("1/year", 1 / 365)]
)
def test_rates(text: str, rate: float) -> None:
    found = alert(f"false_alarms: {text}", "drift")
    assert (found.false_alarms, found.above, found.below) == (pytest.approx(rate), None, None)


@pytest.mark.parametrize(("band", "value"), [("moderate", 0.1), ("significant", 0.25)])
def test_bands_of_psi_have_names(band: str, value: float) -> None:
    found = alert(f"above: {band}", "drift")
    assert (found.above, found.band) == (value, band)
    assert words(found, None) == f"above {value:g} ({band})"
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
        alert("above: 1, notify: nope")
