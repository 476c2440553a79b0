"""The keys of `alerts`, `notify` and `metrics` in podium.yaml: when people are told, and how."""

from __future__ import annotations

from ...domain.monitoring import PSI_BANDS, SEVERITIES
from ..kinds import Amount, AmountOrBand, Choice, Duration, Flag, Holding, Rate, Secret, Text
from ..patterns import bad_argument, bad_listening, bad_shown_address
from ..sections import VARIABLE_NAME, Chosen, Key, ListOf, MapOf, Option, Section
from . import common

ALERT = Section(
    "alert",
    (
        Key("monitor", common.name, "monitor whose value it checks", required=True),
        Key("above", AmountOrBand(PSI_BANDS), "fires above this value; of psi also moderate (0.1), significant (0.25)"),
        Key("below", Amount(sizes=True), "fires below this value"),
        Key("false_alarms", Rate(), "how often it may fire without any change: 1/month; the monitor finds the value"),
        Key("for", Holding(), "measurements in a row, or a time, that it lasts before it fires (1)"),
        Key("keep_firing_for", Duration(), "how long the value has to be back before it is over (0s)"),
        Key("cooldown", Duration(), "time from one firing to the next, at least (1h)"),
        Key("severity", Choice(SEVERITIES), "critical, warning or info (warning)"),
        Key("labels", MapOf(Text(empty=True), "label", VARIABLE_NAME), "labels for who is told"),
        Key(
            "annotations",
            MapOf(Text(templated=True), "annotation", VARIABLE_NAME),
            "texts for people, with ${{ alert.shown }} and others: summary, description, runbook_url",
        ),
        Key("notify", common.names, "sinks that are told (all)"),
    ),
)

_address = Secret(pattern=r"https?://\S+", what="an http(s) address", plain=bad_shown_address)
_SINK = (
    Key("timeout", Duration(low=1.0, high=60.0), "how long one message may take (20s)"),
    Key("resolved", Flag(), "tell that an alert is over, too (true)"),
)
SINK = Chosen(
    "sink",
    (
        Option(
            "apprise",
            Section(
                "sink",
                (Key("apprise", Secret(), "address as apprise takes it: ${SLACK_URL}", required=True), *_SINK),
            ),
        ),
        Option(
            "webhook",
            Section(
                "sink",
                (
                    Key("webhook", _address, "address that alerts are sent to", required=True),
                    Key("key", Secret(), "what they are signed with: ${WEBHOOK_KEY} (unsigned)"),
                    *_SINK,
                ),
            ),
        ),
        Option(
            "alertmanager",
            Section(
                "sink",
                (
                    Key("alertmanager", _address, "address of an Alertmanager", required=True),
                    Key("token", Secret(), "bearer token for it: ${ALERTMANAGER_TOKEN} (none)"),
                    *_SINK,
                ),
            ),
        ),
        Option(
            "command",
            Section(
                "sink",
                (
                    Key(
                        "command",
                        ListOf(Text(variables=False, check=bad_argument), least=1),
                        "program and arguments; the alerts are on its standard input",
                        required=True,
                    ),
                    Key(
                        "env",
                        MapOf(Secret(empty=True, plain=lambda _: ""), "variable", VARIABLE_NAME),
                        "its variables, besides PATH, HOME, LANG and TZ",
                    ),
                    *_SINK,
                ),
            ),
        ),
        Option(
            "terminal",
            Section(
                "sink.terminal",
                (
                    Key(
                        "terminal",
                        Choice(("bell", "osc9")),
                        "what the terminal of an open cockpit does: ring, or show a notification",
                        required=True,
                    ),
                ),
            ),
        ),
    ),
)
NOTIFY = Section(
    "notify",
    (
        Key("wait", Duration(high=3600.0), "changes of one environment's alerts in this time are one message (10s)"),
        Key("sinks", MapOf(SINK, "sink"), "who is told, by name"),
    ),
)

METRICS = Section(
    "metrics",
    (
        Key("listen", Text(check=bad_listening), "port, or ADDRESS:PORT, where the agent shows /metrics (nowhere)"),
        Key("token", Secret(), "bearer token that is asked for there: ${METRICS_TOKEN} (none, on this machine alone)"),
    ),
)
