"""What several checks do with a subject and ask of it, and is no check itself."""
