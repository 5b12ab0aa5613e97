"""Parts of HTTP servers: problem details, limits of connections and heads, a server that ends cleanly."""
