"""The formats of other systems that can be published."""
