"""HAProxy's configuration in front of services that Compose's DNS knows. Manual: `server-template` and `resolvers` in
https://docs.haproxy.org/2.8/configuration.html."""

from __future__ import annotations

from ..delivery.proxy.bounds import GLOBAL_LINES, default_lines, error_lines, request_lines
from ..domain.engines.exports import ExportedEnvironment, Served

# The engine answers for the names of services at this address, in every container of a network of its own.
_DNS = "127.0.0.11:53"
_MOST = 256


def weights(served: tuple[Served, ...]) -> list[int]:
    """Returns the weight of one replica of each version, from 1 to 256: each has as many, so that the shares decide."""
    largest = max(one.share for one in served)
    return [max(1, round(_MOST * one.share / largest)) for one in served]


def configuration(facts: ExportedEnvironment, services: tuple[str, ...]) -> str:
    """Returns the whole file; `services` are the names of the versions' services, in the order of `served`."""
    environment, request = facts.environment, facts.environment.request
    servers = "".join(
        f"  server-template {service}- {environment.replicas} {service}:{facts.port} check inter 1s fall 3 rise 1"
        f" resolvers engine init-addr none weight {weight}\n"
        for service, weight in zip(services, weights(facts.served), strict=True)
    )
    return f"""\
global
{GLOBAL_LINES}resolvers engine
  nameserver engine {_DNS}
  hold valid 1s
  hold nx 1s
defaults
{default_lines(request)}  retries 3
  retry-on conn-failure
{error_lines(request)}frontend clients
  bind :{environment.port}
{request_lines(request)}  default_backend replicas
backend replicas
  balance roundrobin
  option httpchk
  http-check send meth GET uri /ping
{servers}"""
