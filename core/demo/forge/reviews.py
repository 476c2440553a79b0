"""Pull requests (GitLab: merge requests), from a branch or from a fork, and the comments on them."""

from __future__ import annotations

from .model import Comment, Pull, Pushed, Repo, User
from .state import Event, State, bounded


class Reviews:
    """`head_ref` is the name under which a repository shows the newest commit of a pull request."""

    def __init__(self, state: State, head_ref: str) -> None:
        self._state = state
        self._head_ref = head_ref
        state.listeners.append(self._follow)

    def open(
        self,
        repo: Repo,
        by: User,
        branch: str,
        base: str,
        *,
        title: str = "",
        body: str = "",
        source: Repo | None = None,
        draft: bool = False,
    ) -> Pull:
        state, source = self._state, source or repo
        with state.lock:
            sha, now = source.bare.branches()[branch], state.now()
            commit = source.bare.commit(sha)
            title = title or (commit.title if commit else branch)
            pull = Pull(state.new_id(), repo.next_number, title, body, by, branch, base, sha, source, now, now, draft)
            repo.next_number += 1
            repo.pulls[pull.number] = pull
            bounded(repo.pulls)
            self._show(repo, pull)
            state.emit(Event("pull", repo, "opened", pull, by))
            return pull

    def update(self, repo: Repo, by: User, pull: Pull, action: str) -> None:
        """Tells that something about a pull request has changed."""
        with self._state.lock:
            pull.updated = self._state.now()
            if pull.state != "open" and not pull.closed:
                pull.closed = pull.updated
            self._state.emit(Event("pull", repo, action, pull, by))

    def comment(self, repo: Repo, by: User, number: int, body: str) -> Comment:
        with self._state.lock:
            now = self._state.now()
            comment = Comment(self._state.new_id(), number, body, by, now, now)
            repo.comments[comment.id] = comment
            bounded(repo.comments)
            self._touch(repo, number)
            self._state.emit(Event("comment", repo, "created", comment, by))
            return comment

    def edit(self, repo: Repo, by: User, comment: Comment, body: str) -> None:
        with self._state.lock:
            comment.body, comment.updated = body, self._state.now()
            self._touch(repo, comment.number)
            self._state.emit(Event("comment", repo, "edited", comment, by))

    def _touch(self, repo: Repo, number: int) -> None:
        if number in repo.pulls:
            repo.pulls[number].updated = self._state.now()

    def _show(self, repo: Repo, pull: Pull) -> None:
        """Names the pull request's commit in the repository, where a fork's is brought to."""
        ref = self._head_ref.format(pull.number)
        if pull.source is repo:
            repo.bare.set_ref(ref, pull.sha)
        else:
            repo.bare.bring(pull.source.bare.path, pull.sha, ref)

    def _follow(self, event: Event) -> None:
        """Moves the pull requests of a branch that was pushed to."""
        if event.kind != "push" or not event.subject.ref.startswith("refs/heads/"):
            return
        push: Pushed = event.subject
        for repo in list(self._state.repos.values()):
            for pull in list(repo.pulls.values()):
                if pull.state == "open" and pull.source is event.repo and f"refs/heads/{pull.branch}" == push.ref:
                    self._move(repo, pull, push, event.by)

    def _move(self, repo: Repo, pull: Pull, push: Pushed, by: User) -> None:
        if not push.new:
            pull.state = "closed"
            self.update(repo, by, pull, "closed")
        elif push.new != pull.sha:
            before, pull.sha, pull.updated = pull.sha, push.new, self._state.now()
            self._show(repo, pull)
            self._state.emit(Event("pull", repo, "synchronize", pull, by, {"before": before, "after": push.new}))
