"""How are all counts proved, and rebuilt, from the log? See docs/replay.md."""
