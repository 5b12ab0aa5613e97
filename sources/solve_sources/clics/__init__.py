"""CLICS contest systems: feeds, and a contest as it stands."""
