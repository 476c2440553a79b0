from __future__ import annotations

import importlib
import os
from collections import Counter

import pytest
from podium.core.domain.runs import PIPELINE, Run, RunState, Trigger
from podium.core.errors import ConfigError, UsageError
from podium.core.triggers import projects
from podium.tui import keymap
from podium.tui.actions import ACTIONS, BY_ID, Danger, footer_actions
from podium.tui.context import Context
from podium.tui.glyphs import Glyphs
from podium.tui.keys import Keymap
from podium.tui.screens import BY_NAME, MAIN, SCREENS

RUN = Run(3, PIPELINE, "release", RunState.RUNNING, Trigger.PERSON, "anna", 1.0)

# docs/cockpit.md, "Keys".
DESIGNED = {
    "help": "question_mark f1",
    "search": "slash",
    "next": "n",
    "previous": "N",
    "filter": "f",
    "palette": "colon ctrl+p",
    "escape": "escape",
    "back": "q",
    "open": "enter",
    "down": "j",
    "up": "k",
    "top": "g",
    "bottom": "G",
    "half_down": "ctrl+d",
    "half_up": "ctrl+u",
    "pane_next": "tab",
    "mark": "space",
    "compare": "c",
    "logs": "l",
    "copy": "y",
    "browser": "o",
    "refresh": "r",
    "wrap": "w",
    "timestamps": "t",
    "zoom": "plus",
    "promote": "P",
    "deploy": "D",
    "rollback": "B",
    "again": "R",
    "cancel": "X",
    "approve": "A",
    "goto_overview": "1",
    "goto_runs": "2",
    "goto_models": "3",
    "goto_environments": "4",
    "goto_containers": "5",
    "shell": "S",
    "merge": "m",
    "repair": "M",
    "pause": "H",
    "full": "F",
    "resume": "U",
}


def test_keys_are_as_designed_and_none_is_taken_twice() -> None:
    for action_id, keys in DESIGNED.items():
        assert set(keys.split()) <= set(BY_ID[action_id].keys), action_id
    counted = Counter(key for action in ACTIONS for key in action.keys)
    assert [key for key, count in counted.items() if count > 1] == []


def test_changes_are_shifted_letters() -> None:
    for action in ACTIONS:
        if action.danger:
            assert all(len(key) == 1 and key.isupper() for key in action.keys), action.id


def test_read_only_refuses_exactly_the_changes() -> None:
    refused = {
        action.id
        for action in ACTIONS
        if "--read-only"
        in action.refusal(Context(screen="runs", pane="table", read_only=True, subjects=(RUN,), rows=1))
    }
    assert refused == {action.id for action in ACTIONS if action.danger is not Danger.NONE}


@pytest.mark.parametrize(
    ("state", "refused"),
    [(RunState.RUNNING, False), (RunState.QUEUED, False), (RunState.FAILED, True), (RunState.INTERRUPTED, False)],
)
def test_cancel_only_what_goes_on(state: RunState, refused: bool) -> None:
    from dataclasses import replace

    assert bool(BY_ID["cancel"].refusal(Context(screen="runs", subjects=(replace(RUN, state=state),)))) is refused


def test_every_action_can_be_done_or_says_why_on_every_screen() -> None:
    for row in SCREENS:
        module, _, name = row.place.partition(":")
        screen = getattr(importlib.import_module(f"podium.{module}"), name)
        assert screen.title_id == row.name
        for action in ACTIONS if row in MAIN else ():
            if not action.screens or row.name in action.screens:
                assert screen.can(action), f"{row.name} cannot {action.id}"


def test_every_screen_has_a_key_of_its_own_or_lies_on_one_that_has() -> None:
    assert sorted(screen.key for screen in MAIN) == sorted("1234567890")
    assert [screen.key for screen in MAIN][:5] == ["1", "2", "3", "4", "5"]
    assert all(screen.key or BY_NAME[screen.above].key for screen in SCREENS)
    assert {screen.name for screen in MAIN} == {action.goes_to for action in ACTIONS if action.goes_to}


def test_names_of_screens_in_actions_are_those_of_the_table() -> None:
    for action in ACTIONS:
        assert {*action.screens, *action.on} <= set(BY_NAME), action.id
        assert not action.screens or set(action.on) <= set(action.screens), action.id


def test_the_footer_of_each_screen_offers_what_is_done_there() -> None:
    assert {"cancel", "approve", "again"} <= {action.id for action in footer_actions("runs")}
    assert {"promote", "rollback"} <= {action.id for action in footer_actions("environments")}
    assert not any(action.danger for action in footer_actions("compare"))


def test_a_keymap_changes_keys() -> None:
    changed = keymap.parse("rollback: [ctrl+b, F9]\nhelp: h\n")
    assert changed.keys(BY_ID["rollback"]) == ("ctrl+b", "f9")
    assert changed.shown(BY_ID["help"]) == "h"
    assert changed.keys(BY_ID["promote"]) == ("P",)
    assert ("ctrl+b", "rollback") in list(changed.bindings())


def test_keys_can_be_exchanged_when_both_are_given() -> None:
    assert keymap.parse("promote: B\nrollback: P\n").keys(BY_ID["rollback"]) == ("P",)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("promote: q", 0, "'q' is already the key of back"),
        ("promote: ctrl+b\nrollback: ctrl+b", 0, "already the key of"),
        ("\npromte: x", 2, "is no action"),
        ("promote: ctrl+shift+p", 1, "tmux has no such keys"),
        ("promote: banana", 1, "is no key"),
        ("promote: P\npromote: Z", 2, "given twice"),
        ("- a", 1, "must be a mapping"),
        ("a: [", 2, "is not YAML"),
    ],
)
def test_a_keymap_that_cannot_be_is_fatal_and_says_where(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        keymap.parse(text + "\n", "keys.yaml")
    assert words in str(caught.value)
    if line:
        assert caught.value.problems[0].line == line


def test_no_keymap_file_is_no_keymap(tmp_path) -> None:
    assert isinstance(keymap.load(tmp_path / "keys.yaml"), Keymap)


def test_plain_glyphs_are_ascii() -> None:
    from podium.tui import glyphs

    assert set(glyphs._UNICODE) == set(glyphs._ASCII)
    assert all(text.isascii() for text in glyphs._ASCII.values()) and glyphs.ASCII_BLOCKS.isascii()
    assert len(glyphs.ASCII_BLOCKS) == len(glyphs.BLOCKS)
    assert Glyphs(plain=True).text("v1 → v2 …").isascii()


def test_an_account_without_a_home_directory_has_the_default_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)  # an account that nobody has made
    assert vars(keymap.load()) == vars(Keymap())
    assert projects.listed() == ()
    with pytest.raises(UsageError, match="no home directory"):
        projects.folder()
