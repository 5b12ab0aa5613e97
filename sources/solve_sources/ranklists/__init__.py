"""Standings as contest systems export them: Standard Ranklist, Codeforces, DOMjudge and other CLICS systems."""
