"""Who has agreed to a saved plan: kept with its SHA-256, so that it is about nothing else, and no longer than that
counts."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any, cast

from ..domain.infra.plan import InfraApproval, InfraPlan
from ..journal import Journal


def keep(journal: Journal, plan: InfraPlan, who: str, why: str) -> InfraApproval:
    """Keeps an approval of a plan, until that expires; the audit has it for good."""
    approval = InfraApproval(plan.infra, plan.digest, who, time.time(), plan.expires, why)
    with journal.transaction():
        journal.values.set(_key(plan.infra), json.dumps(asdict(cast("Any", approval))))
        journal.audit.add(who, "approve", f"plan {plan.short} of {plan.infra}: {plan.words()}", why)
    return approval


def of(journal: Journal, plan: InfraPlan) -> InfraApproval | None:
    """Returns the approval of exactly this plan; None if there is none that counts."""
    text = journal.values.get(_key(plan.infra))
    with suppress(ValueError, TypeError):
        found = InfraApproval(**json.loads(text)) if text else None
        if found is not None and found.digest == plan.digest and time.time() < found.until:
            return found
    return None


def _key(name: str) -> str:
    return f"infra approval {name}"
