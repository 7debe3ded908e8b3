"""Log records: key-value, correlated, routed, safe."""
