"""What is said where the extra ``server`` is not installed."""


def missing(error: ModuleNotFoundError) -> str:
    """What to install for the package that is missing. Raises the error if it is a module of our own."""
    if error.name is None or error.name.partition(".")[0] == "hubbub":
        raise error
    return f'the command needs more than the library: pip install "hubbub[server]" ({error})'
