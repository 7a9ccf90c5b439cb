"""Errors that every room may raise and every command turns into one sentence."""


class StoreError(RuntimeError):
    """The warehouse cannot be opened or does not fit the contracts; the message says what to do."""


class BusyError(StoreError):
    """Another process holds the warehouse file."""
