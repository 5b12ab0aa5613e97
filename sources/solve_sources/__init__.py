"""Roads from a judge's own data into the log: what a source says now, compared with what was counted from it."""
