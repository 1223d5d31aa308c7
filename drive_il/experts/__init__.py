"""Scripted experts: Scene in, Control out."""
