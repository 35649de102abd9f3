"""What is to be judged: from the name that a user gives to something that builds executors."""
