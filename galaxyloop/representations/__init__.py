"""Representations as a product: what the encoder sees, who is like whom, and who is like nobody."""
