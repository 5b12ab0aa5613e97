"""How does a person see that it goes on? A bar on a terminal's standard error, nothing elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Bar = Callable[[int], None]


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Bar]:
    """Yields a function that is told how much more is done."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _more: None
        return
    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=total or None)
        yield lambda more: progress.advance(task, more)
