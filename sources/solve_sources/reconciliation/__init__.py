"""Compares a source with what was counted from it; the difference becomes events."""
