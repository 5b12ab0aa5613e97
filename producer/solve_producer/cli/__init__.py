"""The commands of `solve-producer`."""
