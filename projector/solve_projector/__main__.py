"""The program `solve-projector`, also as `python -m solve_projector`."""

import typer

from solve_runtime.console import Program


def _load() -> typer.Typer:
    from solve_projector.cli.main import app

    return app


def _explain(error: BaseException) -> str | None:
    from solve_projector.store.postgresql import explain

    return explain(error)


program = Program(
    "solve-projector",
    _load,
    extra="projector",
    interrupted="interrupted; nothing half done is visible, run the same command again",
    explain=_explain,
)

if __name__ == "__main__":
    program.run()
