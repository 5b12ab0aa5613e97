"""Connections to a judge's own database."""
