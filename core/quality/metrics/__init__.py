"""The metrics that gates and monitors measure: the kinds of answers, the metrics by subject, and their names."""

from .curves import suspicion
from .metric import Metric, check, measure
from .model import ModelAnswers, Statistic, Units, Unmeasurable
from .options import Options, listed, same
from .registry import METRICS, asked, named, usual

__all__ = [
    "METRICS",
    "Metric",
    "ModelAnswers",
    "Options",
    "Statistic",
    "Units",
    "Unmeasurable",
    "asked",
    "check",
    "listed",
    "measure",
    "named",
    "same",
    "suspicion",
    "usual",
]
