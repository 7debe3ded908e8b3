"""``python -m benchmarks [group ...] [--quick] [--json FILE]``."""

import argparse
import importlib
import json
import sys
from pathlib import Path

from benchmarks._harness import versions

GROUPS = (
    "hot",
    "decorators",
    "spans",
    "page",
    "memory",
    "cardinality",
    "imports",
    "otlp",
    "logs",
)


def main() -> int:
    """Run the groups and print their tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("group", nargs="*", help=f"of {', '.join(GROUPS)}; else all")
    parser.add_argument("--quick", action="store_true", help="few rounds, small sizes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures as data")
    options = parser.parse_args()
    if unknown := set(options.group) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")

    print(versions(), flush=True)
    data = {}
    for name in options.group or GROUPS:
        report = importlib.import_module(f"benchmarks.{name}").run(quick=options.quick)
        data[name] = report.data()
        print(f"\n## {name}\n\n{report.text()}", flush=True)
    if options.json:
        result = {"versions": versions(), "groups": data}
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


sys.exit(main())
