"""Command `python -m solve_schemas`: writes the documents; with `--check`, exits with 1 where one differs."""

import argparse
import sys

from solve_schemas.documents import FOLDER, drifted, write


def main() -> None:
    """Writes or checks `schemas/solve_schemas/generated/`."""
    parser = argparse.ArgumentParser(
        prog="python -m solve_schemas", description="Example: python -m solve_schemas --check"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a file differs")
    if not parser.parse_args().check:
        for path in write():
            print(path)  # noqa: T201 - a file of this repository
    elif names := drifted():
        sys.exit(f"schemas: {', '.join(names)} in {FOLDER} differ from the models; run: make generate")


if __name__ == "__main__":
    main()
