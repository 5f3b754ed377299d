"""The shapes of requests and responses, one module a resource."""
