"""A secret in each form that it can take, in a stream that is cut anywhere."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podium.core.errors import PodiumError
from podium.core.known_secrets import known
from podium.core.logs.masking import Masker, encoded, masked
from podium.core.secret_forms import maskable

PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "\n".join(base64.b64encode(bytes(range(n, n + 48))).decode() for n in range(5))
    + "\nc2hvcnQ=\n-----END PRIVATE KEY-----\n"
)
ACCOUNT = json.dumps({"type": "service_account", "private_key_id": "0123456789abcdef", "private_key": PEM})
SECRET = "s3cr3t/with+chars&x=#1 'q' \"d\" $(e) <é>"

ENCODERS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of one before": lambda text: base64.b64encode(b"u" + text.encode() + b"zz").decode(),
    "base64 of a pair": lambda text: base64.b64encode(b"user:" + text.encode()).decode(),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(text.encode() + b"\n").decode(),
    "address": lambda text: quote(text, safe=""),
    "path": quote,
    "lower case": lambda text: re.sub("%..", lambda match: match[0].lower(), quote(text, safe="")),
    "form": quote_plus,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "Python": repr,
    "HTML": html.escape,
    "shell": shlex.quote,
    "hex": lambda text: text.encode().hex(),
}


def everywhere(secret: str, text: str) -> str:
    """Returns the text as masked, and checks that it is so wherever its stream is cut."""
    shown = masked(text, [secret])
    data = text.encode()
    for cut in range(len(data) + 1):
        masker = Masker(encoded([secret]))
        assert masker.feed(data[:cut]) + masker.feed(data[cut:]) + masker.close() == shown.encode(), cut
    return shown


@pytest.mark.parametrize("form", ENCODERS)
@settings(max_examples=15)
@given(secret=st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=8, max_size=24))
def test_it_is_masked_in_each_form_wherever_the_stream_is_cut(form: str, secret: str) -> None:
    plain = secret.strip()
    if not maskable(plain) or len(plain) < 8:
        return
    written = ENCODERS[form](plain)
    shown = everywhere(secret, f"<<{written}>>")
    assert "***" in shown and plain not in shown
    # What is left: quotes, the text round it, and in base64 the letters that it shares with its neighbours.
    assert len(shown.replace("***", "")) <= 20


@pytest.mark.parametrize("form", ENCODERS)
def test_signs_of_every_language_are_masked(form: str) -> None:
    shown = everywhere(SECRET, ENCODERS[form](SECRET))
    assert "s3cr3t" not in shown and "***" in shown


@pytest.mark.parametrize("shell", ["printf %q", "set -x", "declare -p"])
@pytest.mark.parametrize("secret", [SECRET, "two\nlines of it"])
def test_it_is_masked_as_a_real_shell_writes_it(shell: str, secret: str) -> None:
    commands = {"printf %q": 'printf %q "$S"', "set -x": 'set -x; : "$S"', "declare -p": "declare -p S"}
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "-c", commands[shell]],
        env={"S": secret, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    shown = masked(done.stdout + done.stderr, [secret])
    assert "***" in shown and "s3cr3t" not in shown and "lines of" not in shown


@pytest.mark.parametrize(
    "text",
    [
        PEM,
        PEM.replace("\n", "\r\n"),
        textwrap.indent(PEM, "    "),
        "".join(f"2026-01-01 key: {line}\n" for line in PEM.splitlines()),
        json.dumps({"key": PEM}),
        base64.b64encode(PEM.encode()).decode(),
        base64.encodebytes(PEM.encode()).decode(),
        quote(PEM),
    ],
    ids=["as it is", "CRLF", "indented", "line by line", "JSON", "base64", "base64 in rows", "address"],
)
def test_a_key_of_several_lines_is_masked_line_by_line(text: str) -> None:
    for secret in (PEM, PEM.strip(), ACCOUNT):
        shown = masked(text, [secret])
        assert not any(line in shown for line in PEM.splitlines()[1:-2])
        if "base64" not in text and secret == PEM:
            assert len(shown) < len(text)


@pytest.mark.parametrize("indent", [None, 1, 2, 4])
def test_an_account_in_json_is_masked_however_it_is_printed(indent: int | None) -> None:
    shown = masked(json.dumps(json.loads(ACCOUNT), indent=indent), [ACCOUNT])
    assert not any(line in shown for line in PEM.splitlines()[1:-2]) and "0123456789abcdef" not in shown
    assert "service_account" in shown or shown == "***"


@pytest.mark.parametrize("word", ["podium", "true", "1234", "main", "abc", " True\n"])
def test_a_word_of_every_log_does_not_destroy_it(word: str) -> None:
    line = "podium runs true on main 1234 abc True"
    assert masked(line, [word]) == line and not maskable(word)


def test_two_secrets_of_which_one_begins_the_other() -> None:
    assert everywhere("hunter2", "hunter2-and-more hunter2") == "***-and-more ***"
    assert masked("hunter2-and-more hunter2", ["hunter2", "hunter2-and-more"]) == "*** ***"


def test_half_a_letter_that_json_brought_keeps_nothing_from_being_masked() -> None:
    """No bytes stand for it; a message that it is in is told all the same, and masked."""
    secret, text = "half a secret", json.loads('"\\ud800 half a secret \\udc41 \\udcff"')
    known.remember(secret)
    try:
        assert PodiumError(text).message == "? *** ? \udcff"
    finally:
        known.forget()
    assert masked(text, [secret, "\udbff another"]) == "? *** ? \udcff"
