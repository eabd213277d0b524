"""Where hooks are: addresses of the configuration alone."""

from urllib.parse import urlsplit

from hubbub.core.errors import ConfigurationError


def check_address(address: str) -> None:
    """Raises `ConfigurationError` for what is no address of a hook. The message never has it in it."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises for what is no port
    except ValueError:
        raise ConfigurationError("This is no address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("A hook's address begins with http:// or https://, and names a host")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("A hook's address has no password in it; hook_static_headers can have one")
    if parts.fragment or any(letter <= " " for letter in address):
        raise ConfigurationError("A hook's address has no fragment and no blanks")
