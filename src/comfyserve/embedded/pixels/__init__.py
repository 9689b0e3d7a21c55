"""Numbers behind the model-free nodes: float32 arrays in, float32 arrays out, no node and no engine."""
