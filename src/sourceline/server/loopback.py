"""What is served on loopback reaches nobody but this machine."""

import ipaddress

from sourceline.errors import SettingsError


def is_loopback(host: str) -> bool:
    """Return whether a host, by name or address, is this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_key_off_loopback(host: str, api_key: str) -> None:
    """Refuse to serve documents to a network without a key.

    Raises:
        SettingsError: ``host`` is not loopback and there is no key.
    """
    if not api_key and not is_loopback(host):
        raise SettingsError(
            f"serving on {host} would show the documents to the network: set SOURCELINE_API_KEY, or serve on 127.0.0.1"
        )
