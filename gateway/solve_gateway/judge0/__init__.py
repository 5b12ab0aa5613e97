"""Judge0: verdicts from its callbacks, whose signed URLs say whose they are, and a sweep for lost callbacks."""
