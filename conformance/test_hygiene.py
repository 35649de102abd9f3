"""HYG: what an executor leaves behind in the host's process and on its disk."""

from __future__ import annotations
