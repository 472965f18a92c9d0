"""Damaged photos and videos through the command."""
