"""What is promised, and what may be said of an executor by it: pure, for all other rooms to use."""
