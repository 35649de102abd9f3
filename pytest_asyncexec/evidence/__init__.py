"""What a verdict rests on, as data: records, certificates, and the code that they speak of."""
