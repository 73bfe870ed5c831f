"""What a report cannot be made of."""


class ResultsError(ValueError):
    """Results that cannot be reported on. Its message is one line that names the place."""
