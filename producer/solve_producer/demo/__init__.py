"""A simulated season, for demos, benchmarks and tests."""
