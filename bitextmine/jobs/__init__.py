"""Jobs as the service and the workers share them: the record, the store that keeps it, the queue that hands it out."""
