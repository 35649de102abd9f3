"""Conditions, the covering array, the tasks that follow from it, and the model that predicts."""
