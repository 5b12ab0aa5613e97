"""The replay: proves all counts against the log and rebuilds them. See docs/replay.md."""
