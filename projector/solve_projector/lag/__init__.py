"""The lag: how far each stage is behind the log, whether it catches up, as a report and as metrics."""
