"""Admins: accounts, passwords, sessions, tokens, lockouts and the audit trail.

Nothing here knows HTTP, and nothing outside knows a password. Requests and commands call the same functions.
"""
