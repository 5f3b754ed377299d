"""How the service is doing: what it logs of requests, counts and says of itself."""
