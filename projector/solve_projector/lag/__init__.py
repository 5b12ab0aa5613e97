"""How far are the counts behind the log, and is that getting better? Looks at all stages, judges them, and shows it."""
