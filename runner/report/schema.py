"""The JSON Schema of what programs are told: `schema.json`, made of the dataclasses.

After a change of these: `SCHEMA.write_text(schema_text())`. A key may be added to a version; where
one goes or gets another meaning, `render.json.SCHEMA_VERSION` goes up by one.
"""

import json
from pathlib import Path

from runner.report.diff import SweepDiff
from runner.report.render.json import SweepReport
from runner.validation import schema

SCHEMA = Path(__file__).with_name("schema.json")


def schema_text() -> str:
    """Returns the schema of a report and of a difference of sweeps, which `kind` tells apart."""
    return json.dumps(schema(SweepReport | SweepDiff), indent=1, ensure_ascii=False) + "\n"
