"""bitextmine."""
