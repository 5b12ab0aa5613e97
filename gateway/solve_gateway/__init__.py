"""Takes events over HTTP and publishes them; a judge that embeds it needs `judge0_callback_url` alone."""

from solve_gateway.judge0.signing import judge0_callback_url

__all__ = ["judge0_callback_url"]
