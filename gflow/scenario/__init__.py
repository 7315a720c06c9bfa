"""Scenario files: from YAML text to a frozen, validated specification, without torch."""

from gflow.scenario.fingerprint import differences, sha256
from gflow.scenario.load import load_scenario, parse_scenario, resolved_yaml, scenario_of
from gflow.scenario.schema import Origin, Scenario, json_schema

__all__ = [
    "Origin",
    "Scenario",
    "differences",
    "json_schema",
    "load_scenario",
    "parse_scenario",
    "resolved_yaml",
    "scenario_of",
    "sha256",
]
