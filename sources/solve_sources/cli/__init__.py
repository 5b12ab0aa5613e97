"""The commands that `solve-producer` gains with this package."""
