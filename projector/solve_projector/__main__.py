"""The program `solve-projector`, also as `python -m solve_projector`."""

from solve_runtime.console import Program

program = Program(
    "solve-projector",
    "solve_projector.cli.main",
    extra="projector",
    interrupted="interrupted; nothing half done is visible, run the same command again",
)

if __name__ == "__main__":
    program.run()
