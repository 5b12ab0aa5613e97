"""How many streams has this process room for? Each is an open file, and the usual limit of 1,024 may be raised."""

from contextlib import suppress

FILES_BESIDE = 200  # connections to the servers, and requests that are no streams


def make_room(streams_max: int) -> int:
    """Raises the limit of open files as far as the streams need it and the system lets it; how many streams fit."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return streams_max
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams_max + FILES_BESIDE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return streams_max
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    with suppress(ValueError, OSError):  # macOS has another limit behind this one
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(1, min(streams_max, soft - FILES_BESIDE))
