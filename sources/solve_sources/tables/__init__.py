"""Tables of attempts in a judge's own database."""
