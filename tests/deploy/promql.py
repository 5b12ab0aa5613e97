"""Reads from PromQL which metrics the alert rules and the dashboard need.

    metrics_used(Path("deploy/prometheus/alerts.yml"))
    metrics_used(Path("deploy/grafana/dashboards/solve-counts.json"))

No parser of PromQL comes with Python, and none is needed: what is neither a label nor called like a function nor a
word of the language is a metric. Names come as they are queried, so a histogram as `…_bucket`, `…_sum`, `…_count`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

WORDS = frozenset({"and", "or", "unless", "on", "ignoring", "offset", "bool", "start", "end", "inf", "nan", "atan2"})
WORDS |= {"by", "without", "group_left", "group_right"}
# Prometheus makes these itself, no scrape has them.
MADE_BY_PROMETHEUS = frozenset({"up", "ALERTS"})
# Taken out one after the other: what they hold are labels, numbers and text. Grafana's variables are text as well.
NO_METRICS = (
    r'"(?:\\.|[^"\\])*"',
    r"'(?:\\.|[^'\\])*'",
    r"\$\{?\w+\}?",
    r"\{[^{}]*\}",
    r"\[[^\]]*\]",
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)",
    r"\boffset\s+\w+",
)
NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
LABEL_VALUES = re.compile(r"label_values\(\s*(.*),\s*\w+\s*\)")
TEMPLATE_QUERY = re.compile(r'\bquery\s+"((?:\\.|[^"\\])*)"')


def metrics_in(expression: str) -> set[str]:
    """The metrics of one PromQL expression."""
    for pattern in NO_METRICS:
        expression = re.sub(pattern, " ", expression)
    return {name for name in NAME.findall(expression) if name.lower() not in WORDS}


def expressions_in(path: Path) -> list[str]:
    """All PromQL of a rule file (`.yml`, with what its annotations query) or of a dashboard (`.json`)."""
    text = path.read_text(encoding="utf-8")
    return list(_of_dashboard(json.loads(text)) if path.suffix == ".json" else _of_rules(yaml.safe_load(text)))


def metrics_used(path: Path) -> set[str]:
    """The metrics that a rule file or a dashboard needs from a scrape."""
    return {name for expression in expressions_in(path) for name in metrics_in(expression)} - MADE_BY_PROMETHEUS


def _of_rules(rules: dict[str, Any]) -> Iterator[str]:
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]
            for text in rule["annotations"].values():
                yield from TEMPLATE_QUERY.findall(text)


def _of_dashboard(node: Any) -> Iterator[str]:
    """Targets and annotations have `expr`; a variable's `query` lists the values of a label."""
    if isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        if isinstance(node.get("query"), str):
            yield from LABEL_VALUES.findall(node["query"])
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from _of_dashboard(value)
