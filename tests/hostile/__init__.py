"""Executors that harm their host: in each of them one method does what none may do."""
