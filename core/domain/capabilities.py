"""Capabilities of drivers, executors and built-in steps, declared beside their names in `core/plugins.py` (or by the
attribute `capabilities` of another package's class or function), so that no code has to compare names."""

from __future__ import annotations

from .frozen import Frozen


class DriverCapabilities(Frozen):
    """The capabilities of a driver, known before it is loaded."""

    engine: bool = False
    """Replicas are containers of an engine that speaks Docker's API. The environment then has an engine's address
    (`of_environment`), a snapshot of what runs, images, and container logs."""

    keys: tuple[str, ...] | None = None
    """Keys of an environment in podium.yaml, of those that not every driver knows (host, tls, proxy, proxy_image,
    cpus, memory, keep_stopped), that it acts on; the others are refused. None refuses none."""

    services: bool = False
    """Replicas are services of a Swarm, on whichever node that chooses; the environment's engine is a manager's."""

    local_proxy: bool = True
    """HAProxy runs as a process of this machine, which has to have the program and the environment's port free."""


class ExecutorCapabilities(Frozen):
    """The capabilities of an executor, known before it is loaded."""

    image: bool = False
    """It runs steps that have `image` or `build`."""

    needs_image: bool = False
    """It runs no others."""

    local: bool = False
    """Its steps are plain processes of this machine: nothing of the executor belongs in a step's key, and a run whose
    steps are all cached never starts it."""

    elsewhere: bool = False
    """Its steps run on other machines, which decide what runs when: they claim nothing of this one, get the variables
    of steps in containers, and may have `resources` and `runtime_env`."""

    survives_worker: bool = False
    """A step goes on when its worker is killed, and the next worker takes it over instead of starting it again."""


class StepCapabilities(Frozen):
    """The capabilities of a built-in step; another package's function has them as its attribute `capabilities`."""

    delivers: bool = False
    """It changes what serves, and may start it: it is not slowed in favour of that, as other steps are, and waits for
    nobody's CPU."""

    asks: str = ""
    """`module:function` that says, just before the step starts and by what earlier steps have found, why a person has
    to approve it; it returns an empty text if none has to."""

    parallel: bool = False
    """Its option `parallel` says how many CPUs it uses, all of them without it."""
