"""What a source says beside what was counted from it; the difference becomes events."""
