"""A person's own commands: read with every mistake at its line, refused with a reason, and fed by variables alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from podium.core.domain.runs import Step, StepState
from podium.core.errors import ConfigError
from podium.tui.context import Context
from podium.tui.keys import Keymap
from podium.tui.own.commands import OwnCommand, parse
from podium.tui.own.values import missing, values
from podium.tui.widgets.help import help_text
from textual.pilot import Pilot

from tests.tui.driving import drive, make_app, settled, text, until
from tests.tui.seed import SeededCockpit

HOSTILE = "'; touch pwned; $(touch pwned) `touch pwned` \"\n| rm -rf . && \x1b[2J"


def app_with(cockpit: SeededCockpit, *own: OwnCommand, **options: Any):
    return make_app(cockpit, keymap=Keymap().with_own([each.action for each in own]), **options)


def test_every_mistake_is_named_with_its_line() -> None:
    with pytest.raises(ConfigError) as error:
        parse(
            "one: {command: 'echo $THIS_VERSIN', key: ctrl+n, screens: [modls]}\n"
            "bad/name: {command: x}\n"
            "other:\n  comand: ls\n  key: P\n  confirm: maybe\n  timeout: soon\n"
            "third: ls\n"
            "fine: {command: ls, key: ctrl+n}\n"
            "Fine: {command: ls, key: ctrl+n}\n",
            Keymap(),
        )
    said = [(each.line, each.key, f"{each.message} {each.hint}") for each in error.value.problems]
    for line, name, words in (
        (1, "one", "did you mean THIS_VERSION?"),
        (1, "one", "did you mean models?"),
        (2, "bad/name", "is no name"),
        (4, "other", "did you mean command?"),
        (3, "other", "has no command"),
        (6, "other", "confirm must be true or false"),
        (7, "other", "'soon' is no time"),
        (8, "third", "must be a mapping"),
        (10, "Fine", "is given twice"),
        (10, "Fine", "'ctrl+n' is already the key of fine"),
    ):
        assert any(each[:2] == (line, name) and words in each[2] for each in said), (line, name, words, said)
    with pytest.raises(ConfigError, match="is already the key of promote"):
        parse("mine: {command: ls, key: P}\n", Keymap())
    assert parse("", Keymap()) == ()


def test_it_is_in_the_help_the_palette_and_the_footer_of_reasons(cockpit: SeededCockpit) -> None:
    own = OwnCommand(
        "open notebook", "jupyter $THIS_VERSION", "A notebook on the version", ("models", "runs"), "ctrl+n"
    )
    app = app_with(cockpit, own)

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("ctrl+n")
        assert "open notebook: only on Models and Runs" in text(app)
        await pilot.press("2")
        await settled(pilot)
        await pilot.press("ctrl+n")
        assert "open notebook: no version is under the cursor" in text(app)
        await pilot.press("3")
        await settled(pilot)
        assert "A notebook on the version" in help_text(app.keymap, app.podium_screen.context()).plain
        await pilot.press(*":open note")
        await until(pilot, lambda: "yours" in text(app), "the palette")
        await pilot.press("escape")

    drive(app, script, size=(120, 60))


@pytest.mark.parametrize("background", [True, False])
def test_names_from_outside_are_text(
    cockpit: SeededCockpit, tmp_path: Path, background: bool, monkeypatch: Any
) -> None:
    """They come as variables: a shell that is told to print one prints it."""
    out = tmp_path / "said"
    own = OwnCommand("say", f'printf %s "$THIS_STEP" > {out}; pwd', key="ctrl+n", background=background)
    context = Context(screen="runs", subjects=(Step(1, HOSTILE, 0, StepState.FAILED),))
    environ = values(context, "p", tmp_path)
    assert environ["THIS_STEP"] == HOSTILE and missing(own.command, context) == "" and missing(own.command, Context())
    app = app_with(cockpit, own, screen="runs")

    async def script(pilot: Pilot[Any]) -> None:
        monkeypatch.setattr(app.podium_screen, "context", lambda: context)
        lent: list[tuple[Any, ...]] = []

        def lend(argv: Any, words: str, **given: Any) -> int:
            lent.append((argv, given))
            return os.spawnvpe(os.P_WAIT, argv[0], list(argv), {**os.environ, **given["environ"]})

        monkeypatch.setattr(app, "run_outside", lend)
        app.podium_screen.action_perform("own:say")
        words = "say is done" if background else "back from say"
        await until(pilot, lambda: words in text(app), "its end")
        assert out.read_text() == HOSTILE
        assert bool(lent) is not background
        if background:
            assert str(cockpit.home) in text(app), "the last line that it wrote; it is in the project's directory"

    drive(app, script, size=(200, 40))
    assert not list(cockpit.home.glob("**/pwned"))


def test_what_is_dangerous_asks_and_in_a_protected_environment_by_its_name(
    cockpit: SeededCockpit, tmp_path: Path
) -> None:
    out = tmp_path / "did"
    own = OwnCommand(
        "drain", f"echo $THIS_ENVIRONMENT > {out}; echo broken; exit 3", key="ctrl+n", dangerous=True, background=True
    )
    app = app_with(cockpit, own, screen="environments")

    async def script(pilot: Pilot[Any]) -> None:
        await pilot.press("j")  # production
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "PROTECTED" in text(app) and "$THIS_ENVIRONMENT" in text(app), "the question")
        await pilot.press("tab", *"staging", "enter", "enter")
        await until(pilot, lambda: "nothing was changed" in text(app), "another name is no agreement")
        assert not out.exists()
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "type production" in text(app), "the question")
        await pilot.press("tab", *"production", "tab", "tab", "enter")
        await until(pilot, lambda: "drain ended with 3: broken" in text(app), "its end")
        assert out.read_text() == "production\n"

    drive(app, script)
    read_only = app_with(cockpit, own, screen="environments", read_only=True)

    async def refused(pilot: Pilot[Any]) -> None:
        await pilot.press("ctrl+n")
        assert "read-only" in text(read_only)

    drive(read_only, refused)


def test_one_that_takes_too_long_is_killed_with_what_it_started(tmp_path: Path) -> None:
    from podium.tui.own.background import _run

    code, last = _run("echo begun; sleep 1000 & echo $! > child; wait", {}, tmp_path, 0.5)
    assert (code, last) == (None, "begun")
    pid = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().split(")")[1].split()[0] == "Z", json.dumps(pid)
