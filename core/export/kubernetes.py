"""Writes an environment as objects of Kubernetes. Reference: kubernetes.io/docs/reference/kubernetes-api; what splits
requests by weight is the Gateway API's HTTPRoute (gateway-api.sigs.k8s.io), which a cluster may lack."""

from __future__ import annotations

import math
from typing import Any

from ..domain.engines.exports import ExportedEnvironment, Served
from .writing import document, head, lineage, name_of, replica_variables

FILE = "kubernetes.yaml"
_PROBE_SECONDS = 5
_SPLIT = "The weights of the canary are those of the HTTPRoute: it needs a Gateway named `gateway` in this namespace."


def files(facts: ExportedEnvironment) -> dict[str, str]:
    """Returns the one file, by name."""
    objects = [object_ for one in facts.served for object_ in (_deployment(facts, one), _service(facts, one))]
    split = len(facts.served) > 1
    if split:
        objects.append(_route(facts))
    return {FILE: head(facts, [_SPLIT] if split else []) + "---\n".join(document(each) for each in objects)}


def commands(facts: ExportedEnvironment) -> tuple[str, ...]:
    """Returns what starts it, in its directory."""
    return (f"kubectl apply -f {FILE}",)


def _name(facts: ExportedEnvironment, one: Served) -> str:
    return name_of(facts.project, facts.environment.name, f"v{one.version}")


def _meta(facts: ExportedEnvironment, one: Served) -> dict[str, Any]:
    """Returns an object's name and labels; what labels cannot hold is an annotation."""
    return {
        "name": _name(facts, one),
        "labels": _selector(facts, one) | {"app.kubernetes.io/version": str(one.version)},
        "annotations": lineage(facts, one),
    }


def _selector(facts: ExportedEnvironment, one: Served) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": name_of(facts.model),
        "app.kubernetes.io/part-of": name_of(facts.project),
        "app.kubernetes.io/instance": _name(facts, one),
    }


def _deployment(facts: ExportedEnvironment, one: Served) -> dict[str, Any]:
    meta = _meta(facts, one)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": facts.environment.replicas,
            "selector": {"matchLabels": _selector(facts, one)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": meta["labels"], "annotations": meta["annotations"]},
                "spec": _pod(facts, one),
            },
        },
    }


def _pod(facts: ExportedEnvironment, one: Served) -> dict[str, Any]:
    writable = [(f"scratch-{number}", path) for number, path in enumerate(facts.writable)]
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": math.ceil(facts.environment.strategy.drain),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": facts.user,
            "runAsGroup": facts.user,
            "fsGroup": facts.user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(facts, one, writable)],
        "volumes": [{"name": name, "emptyDir": {"sizeLimit": "256Mi"}} for name, _ in writable],
    }


def _container(facts: ExportedEnvironment, one: Served, writable: list[tuple[str, str]]) -> dict[str, Any]:
    environment = facts.environment
    asked = {"httpGet": {"path": "/ping", "port": "http"}, "timeoutSeconds": _PROBE_SECONDS}
    limits = {
        **({"cpu": f"{round(environment.cpus * 1000)}m"} if environment.cpus else {}),
        **({"memory": str(environment.memory)} if environment.memory else {}),
    }
    return {
        "name": "replica",
        "image": one.image,
        "ports": [{"name": "http", "containerPort": facts.port}],
        "env": [{"name": key, "value": escaped(value)} for key, value in replica_variables(facts, one).items()],
        **({"resources": {"limits": limits, "requests": limits}} if limits else {}),
        "startupProbe": {
            **asked,
            "periodSeconds": 1,
            "failureThreshold": max(1, math.ceil(environment.health_timeout)),
        },
        "readinessProbe": {**asked, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**asked, "periodSeconds": 10, "failureThreshold": 3},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in writable],
    }


def _service(facts: ExportedEnvironment, one: Served) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(facts, one),
        "spec": {
            "type": "ClusterIP",
            "selector": _selector(facts, one),
            "ports": [{"name": "http", "port": facts.environment.port, "targetPort": "http"}],
        },
    }


def _route(facts: ExportedEnvironment) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name_of(facts.project, facts.environment.name)},
        "spec": {
            "parentRefs": [{"name": "gateway"}],
            "rules": [
                {
                    "backendRefs": [
                        {"name": _name(facts, one), "port": facts.environment.port, "weight": one.share}
                        for one in facts.served
                    ]
                }
            ],
        },
    }


def escaped(text: str) -> str:
    """Returns a text in which the kubelet finds no `$(VARIABLE)`."""
    return text.replace("$(", "$$(")
