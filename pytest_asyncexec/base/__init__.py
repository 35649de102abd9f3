"""The base class for executors, and the template that runs their tasks."""
