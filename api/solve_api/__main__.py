"""The program `solve-api`, also as `python -m solve_api`."""

import typer

from solve_runtime.console import Program


def _load() -> typer.Typer:
    from solve_api.cli.main import app

    return app


def _explain(error: BaseException) -> str | None:
    from solve_projector.store.postgresql import explain

    return explain(error)


program = Program("solve-api", _load, extra="api", explain=_explain)

if __name__ == "__main__":
    program.run()
