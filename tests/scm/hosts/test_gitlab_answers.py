"""GitLab's client against answers in the form that GitLab's documentation shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from podium.core.domain.hosts import CiState, CommitStatus, StatusState
from podium.core.errors import NotFound, Refused, Unreachable
from podium.core.scm.hosts.opening import open_host

from tests.scm.hosts.conftest import Asked, Web, said

SHA = "0123456789abcdef0123456789abcdef01234567"
BASE = "/git/api/v4/projects/acme%2Fml%2Fflight-delay"


@pytest.fixture
def opened(project, web) -> Iterator[Callable[..., tuple[Any, Web]]]:
    """Starts a GitLab below a path, which answers by method and path."""
    hosts: list[Any] = []

    def start(answers: dict[str, Any]) -> tuple[Any, Web]:
        server = web()

        def reply(asked: Asked) -> Any:
            found = answers.get(
                f"{asked.method} {asked.path.removeprefix(BASE)}", said({"message": "404 Not Found"}, 404)
            )
            return found(asked) if callable(found) else found

        server.reply = reply
        answers.setdefault("GET ", said({"id": 1}))
        hosts.append(open_host(project("gitlab", f"{server.url}/git/", repo="acme/ml/flight-delay")))
        return hosts[-1], server

    yield start
    for host in hosts:
        host.close()


def test_a_branch_that_is_gone_is_none_and_a_project_that_is_gone_is_an_error(opened) -> None:
    host, _ = opened({"GET /repository/branches/a%2Fb": said({"name": "a/b", "commit": {"id": SHA}})})
    assert host.tips(["a/b", "gone"]) == {"a/b": SHA}
    host, _ = opened({"GET ": said({"message": "404 Project Not Found"}, 404)})
    with pytest.raises(NotFound, match="the project"):
        host.tips(["main"])


def test_bridges_lead_to_pipelines_of_other_projects(opened) -> None:
    job = {"id": 3, "name": "unit", "stage": "test", "status": "failed", "failure_reason": "script_failure"}
    far = {"id": 46, "sha": SHA, "ref": "main", "status": "running", "project_id": 9, "source": "pipeline"}
    near = {**far, "id": 47, "web_url": "", "project_id": 8}
    answers: dict[str, Any] = {}
    host, server = opened(answers)
    far["web_url"] = f"{server.url}/git/acme/other/-/pipelines/46"
    answers["GET /pipelines/5/jobs"] = said([{**job, "id": 4, "allow_failure": True}, job])
    bridges = [{"id": 1, "name": "far", "status": "success", "downstream_pipeline": far}]
    bridges += [
        {"id": 2, "name": "near", "status": "manual", "downstream_pipeline": near},
        {"id": 5, "status": "created"},
    ]
    answers["GET /pipelines/5/bridges"] = said(bridges)
    jobs = host.ci_jobs("5")
    assert [each.id for each in jobs] == ["1", "2", "3", "4", "5"]
    assert (jobs[0].child.id, jobs[0].child.repo, jobs[0].child.parent) == ("46", "acme/other", "5")
    assert jobs[1].child.repo == "8" and jobs[1].state is CiState.WAITING and jobs[4].child is None
    assert jobs[2].reason == "script failure" and jobs[3].reason == "script failure (its failure is allowed)"
    with pytest.raises(NotFound):
        host.ci_jobs("46", "acme/other")
    assert server.asked[-1].path == "/git/api/v4/projects/acme%2Fother/pipelines/46/jobs"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_trace_is_read_on_whether_ranges_are_kept_to_or_not(opened, ranges: bool) -> None:
    trace = bytearray(b"one\n")

    def reply(asked: Asked) -> Any:
        first = int(asked.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if not ranges or not first:
            return 200, {"Content-Type": "text/plain"}, bytes(trace)
        return (206, {}, bytes(trace[first:])) if first < len(trace) else (416, {}, b"")

    states = {"now": "running"}
    job: Any = lambda asked: said({"id": 7, "status": states["now"]})  # noqa: E731
    host, _ = opened({"GET /jobs/7": job, "GET /jobs/7/trace": reply})
    first = host.ci_log("7")
    assert (first.text, first.next, first.complete) == ("one\n", 4, False)
    assert host.ci_log("7", offset=4).text == ""
    trace += "zw\u00f6lf".encode()[:3]  # ends in the middle of a letter
    second = host.ci_log("7", offset=4)
    assert (second.text, second.next) == ("zw", 6)
    trace += "\u00f6lf\n".encode()[1:]
    states["now"] = "success"
    third = host.ci_log("7", offset=6)
    assert (third.text, third.complete) == ("\u00f6lf\n", True)


def test_a_log_with_a_web_page_in_it_is_a_log_and_a_sign_in_is_none(opened) -> None:
    host, _ = opened(
        {"GET /jobs/7": said({"status": "success"}), "GET /jobs/7/trace": (200, {}, b"<html>printed</html>")}
    )
    assert host.ci_log("7").text == "<html>printed</html>"
    sign_in = (200, {"Content-Type": "text/html"}, b"<html>Sign in</html>")
    host, _ = opened({"GET /jobs/7": said({"status": "success"}), "GET /jobs/7/trace": sign_in})
    with pytest.raises(Unreachable, match="a web page instead of the log of job 7"):
        host.ci_log("7")


def test_a_status_that_stands_already_is_no_error(opened) -> None:
    refused = said({"message": "Cannot transition status via :enqueue from :pending"}, 400)
    there = said([{"name": "podium/release", "status": "pending", "description": "x"}])
    host, server = opened({f"POST /statuses/{SHA}": refused, f"GET /repository/commits/{SHA}/statuses": there})
    host.set_status(SHA, CommitStatus("podium/release", StatusState.PENDING, "x"))
    assert server.asked[0].document == {"state": "pending", "name": "podium/release", "description": "x"}
    with pytest.raises(Refused, match="Cannot transition"):
        host.set_status(SHA, CommitStatus("podium/release", StatusState.SUCCESS))


def test_forks_are_named_and_what_cannot_be_seen_counts_as_one(opened) -> None:
    def request(number: int, source: int | None) -> dict[str, Any]:
        return {
            "iid": number, "title": "t", "author": {"username": "a"}, "sha": SHA, "source_branch": "b",
            "target_branch": "main", "source_project_id": source, "target_project_id": 1, "draft": False,
        }  # fmt: skip

    answers = {"GET /merge_requests": said([request(1, 1), request(2, 2), request(3, 3), request(4, None)])}
    answers["GET /git/api/v4/projects/2"] = said({"path_with_namespace": "mallory/flight-delay"})
    host, _ = opened(answers)
    assert [each.fork for each in host.pull_requests()] == ["", "mallory/flight-delay", "project 3", "(deleted)"]


def test_what_waits_for_an_approval_belongs_to_its_pipeline(opened) -> None:
    blocked = [
        {"id": 11, "environment": {"name": "production"}, "deployable": {"pipeline": {"id": 5}}},
        {"id": 12, "environment": {"name": "staging"}, "deployable": {"pipeline": {"id": 6}}},
        {"id": 13, "environment": {"name": "api"}, "deployable": None},
    ]
    host, server = opened({"GET /deployments": said(blocked), "POST /deployments/11/approval": said({}, 201)})
    (approval,) = host.ci_approvals("5")
    assert (approval.id, approval.environment) == ("11", "production")
    host.ci_approve(approval, why="the gate has passed")
    assert server.asked[-1].document == {"status": "approved", "comment": "the gate has passed"}
    assert "status=blocked" in server.asked[0].target


def test_a_deployment_told_twice_stays_one(opened) -> None:
    made: list[dict[str, Any]] = []

    def create(asked: Asked) -> Any:
        made.insert(0, {"id": len(made) + 1, "sha": SHA, "status": asked.document["status"], "environment": {"id": 9}})
        return said(made[0], 201)

    def put(asked: Asked) -> Any:
        made[0]["status"] = asked.document["status"]
        return said(made[0])

    answers: dict[str, Any] = {"POST /deployments": create, "GET /deployments": lambda asked: said(made)}
    answers |= {"PUT /deployments/1": put, "GET /deployments/1": lambda asked: said(made[-1])}
    answers["PUT /environments/9"] = said({})
    host, server = opened(answers)
    assert (
        host.create_deployment("production", SHA, key="a") == host.create_deployment("production", SHA, key="a") == "1"
    )
    host.set_deployment("1", StatusState.SUCCESS, url="https://example.org")
    host.set_deployment("1", StatusState.PENDING)
    host._made.clear()  # another process
    assert host.create_deployment("production", SHA, key="a") == "1" and len(made) == 1
    assert [each.document for each in server.asked if each.method == "PUT"] == [
        {"status": "success"},
        {"external_url": "https://example.org"},
    ]
    made[0]["status"] = "failed"
    host._made.clear()
    assert host.create_deployment("production", SHA, key="b") == "2"
