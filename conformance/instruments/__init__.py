"""How an executor is seen: each knows one thing to look at, and nothing of rules or subjects."""
