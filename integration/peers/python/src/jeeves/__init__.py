"""Roles of the reference system, as somebody else's Python services would play them."""
