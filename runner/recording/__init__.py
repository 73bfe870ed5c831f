"""Who consumes the records of a sweep: the disk first, then MLflow, then the console."""
