"""A schema for PodMonitors, strict about keys, of the fields that the manifests use.

The Prometheus Operator's own is not in the API's schemas. PyPI has it in a package that brings a
plugin for pytest and a whole client; npm in one that lets misspelt keys pass. Names and types are
those of monitoring.coreos.com/v1, operator 0.80.
"""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string", "minLength": 1}
DURATION = {"type": "string", "pattern": r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$", "minLength": 2}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}


def strict(needed: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Return the schema of an object with the required and some optional keys, and no others."""
    return {
        "type": "object",
        "properties": needed | others,
        "required": list(needed),
        "additionalProperties": False,
    }


def some(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema, "minItems": 1}


RELABELING = strict({"sourceLabels": some(TEXT), "targetLabel": TEXT})
ENDPOINT = strict(
    {"port": TEXT, "interval": DURATION},
    honorLabels={"type": "boolean"},
    relabelings=some(RELABELING),
)
PODMONITOR = strict(
    {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "PodMonitor"},
        "metadata": strict({"name": TEXT}, namespace=TEXT, labels=LABELS),
        "spec": strict(
            {"selector": strict({"matchLabels": LABELS}), "podMetricsEndpoints": some(ENDPOINT)}
        ),
    }
)
