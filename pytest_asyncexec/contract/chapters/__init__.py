"""The rules themselves, a module for each chapter: the only place where a rule is stated."""
