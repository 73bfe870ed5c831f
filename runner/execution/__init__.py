"""Where configurations run: checked first, then trained, recorded and compared."""
