"""Who are the admins, and what did they do? Accounts, passwords, sessions, tokens, lock-outs and the audit table.

Nothing here knows HTTP: the API, the pages and the commands all ask the same functions.
"""
