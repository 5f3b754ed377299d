"""`bitextmine serve`: Valkey, the API and a worker as one command that leaves no process behind."""
