"""Environments that somebody has to approve before a job goes on."""

from __future__ import annotations

from ...domain.hosts import CiState
from .model import Approval, Job, Run, User
from .results import add_deployment
from .state import State


def ask_for_approval(state: State, job: Job, environment: str, reviewers: tuple[str, ...]) -> Approval:
    """Makes the approval that a job waits for, and the deployment that it is about."""
    run = job.run
    place = state.environment(run.repo, environment)
    place.reviewers = reviewers or place.reviewers
    approval = Approval(place, place.reviewers)
    deployment = add_deployment(state, run.repo, run.actor, environment, run.sha, run.branch, state="blocked", job=job)
    deployment.approval = approval
    job.environment, job.deployment = environment, deployment.id
    run.approvals.append(approval)
    return approval


def settle_approval(state: State, run: Run, approval: Approval, by: User, approved: bool, comment: str) -> list[Job]:
    """Writes down what was said, and returns the jobs that waited for it."""
    approval.state = "approved" if approved else "rejected"
    approval.by, approval.comment, approval.at = by.login, comment, state.now()
    jobs: list[Job] = []
    for job in run.jobs:
        if job.state is CiState.WAITING and job.environment == approval.environment.name:
            deployment = run.repo.deployments.get(job.deployment)
            if deployment is not None:
                deployment.state, deployment.updated = "created" if approved else "failed", approval.at
            jobs.append(job)
    return jobs


def may_approve(approval: Approval, login: str) -> bool:
    return not approval.reviewers or login in approval.reviewers
