"""SEC: what is let in with a dictionary, a dispatch id or a task's files."""

from __future__ import annotations
