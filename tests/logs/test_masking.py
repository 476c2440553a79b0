"""One set of rules for secrets: in a stream, in a text, in a document, and in what an engine is told of an environment."""

from __future__ import annotations

import pytest
from podium.core.engine.executors.container.wrapper import split_secrets
from podium.core.errors import RunFailed
from podium.core.logs.masking import (
    Masker,
    encoded,
    is_secret,
    masked,
    masked_document,
    masked_value,
    without_user,
)

SECRETS = ("hunter2-and-more", "hunter2", " padded-secret \n", "abc", "a\nline", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("hunter2", "***"),
        ("xhunter2x", "x***x"),
        ("hunter2-and-more!", "***!"),
        ("padded-secret", "***"),
        ("abcabc", "abcabc"),
        ("a\nline", "***"),
        ("nothing", "nothing"),
        ("", ""),
        ("hunter", "hunter"),
        ("\udce9hunter2", "\udce9***"),
    ],
)
def test_a_stream_and_a_text_are_masked_alike(text: str, shown: str) -> None:
    assert masked(text, SECRETS) == shown
    data = text.encode("utf-8", "surrogateescape")
    for cut in range(len(data) + 1):
        masker = Masker(encoded(SECRETS))
        got = masker.feed(data[:cut]) + masker.feed(data[cut:]) + masker.close()
        assert got.decode("utf-8", "surrogateescape") == shown


def test_a_short_secret_is_one_only_as_a_whole() -> None:
    assert masked("abc", SECRETS) == "abc" and masked_value("abc", SECRETS) == "***" == masked_value(" abc\n", SECRETS)
    assert masked_value("abcd", SECRETS) == "abcd" and masked_value("  ", SECRETS) == "  "


def test_a_document_keeps_its_shape() -> None:
    document = {"hunter2": ["hunter2", 7, True, None, 2.5], "abc": {"x": ("abc", "see hunter2")}, "empty": ""}
    assert masked_document(document, SECRETS) == {
        "hunter2": ["***", 7, True, None, 2.5],
        "abc": {"x": ["***", "see ***"]},
        "empty": "",
    }


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("A", "hunter2", True),
        ("A", "x hunter2 x", True),
        ("A", "abc", True),
        ("A", "xabcx", False),
        ("A", "", False),
        ("A", "https://anna:pw@host/x", True),
        ("A", "https://host/x:y@z", False),
        ("A", "https://anna:p#w/?x@host/x", True),
        ("A", "https://host:8080/x@y", False),
        ("GITHUB_TOKEN", "anything", True),
        ("A", "padded-secret", True),
        ("MLFLOW_TRACKING_TOKEN", "anything", True),
        ("MLFLOW_TRACKING_TOKEN", "", False),
        ("B", "plain", False),
    ],
)
def test_what_an_engine_must_not_know_is_decided_by_the_same_rules(name: str, value: str, secret: bool) -> None:
    assert is_secret(name, value, SECRETS) is secret
    assert split_secrets({name: value}, SECRETS) == (({}, {name: value}) if secret else ({name: value}, {}))


def test_a_secret_under_a_name_that_no_shell_takes_is_an_error() -> None:
    with pytest.raises(RunFailed, match="holds a secret"):
        split_secrets({"a-b": "hunter2"}, SECRETS)
    assert split_secrets({"a-b": "plain"}, SECRETS) == ({"a-b": "plain"}, {})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pip install https://anna:p@ss@host/x y", "pip install https://***@host/x y"),
        ("git+https://t0ken@host/a.git", "git+https://***@host/a.git"),
        ("https://host/a@b", "https://host/a@b"),
        ("mail anna@host", "mail anna@host"),
    ],
)
def test_an_address_is_shown_without_who_may_use_it(text: str, shown: str) -> None:
    assert without_user(text) == shown
