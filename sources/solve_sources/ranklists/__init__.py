"""Public exports of contest systems: Standard Ranklist and others."""
