"""The program `solve-api`, also as `python -m solve_api`."""

from solve_runtime.console import Program

program = Program("solve-api", "solve_api.cli.main", extra="api")

if __name__ == "__main__":
    program.run()
