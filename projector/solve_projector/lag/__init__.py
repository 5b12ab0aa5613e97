"""The lag: how far each stage is from the end of the log, whether it catches up, as a report and as metrics."""
