"""What a run tells people: reports made from verdicts."""
