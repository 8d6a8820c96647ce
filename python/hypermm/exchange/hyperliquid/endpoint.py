"""Where the venue is, and which of its networks that is: one setting, and everything else follows."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct

from hypermm.exceptions import InvalidInputError

__all__ = ["MAINNET", "TESTNET", "Endpoint", "endpoint"]

MAINNET = "https://api.hyperliquid.xyz"
TESTNET = "https://api.hyperliquid-testnet.xyz"
_NAMES = {"mainnet": MAINNET, "testnet": TESTNET}
_SCHEMES = {"http": "ws", "https": "wss"}


class Endpoint(Struct, frozen=True):
    """Addresses of a venue.

    Attributes:
        http_url: Base of ``/info`` and ``/exchange``.
        websocket_url: The websocket.
        is_mainnet: Which network signatures are made for; a loopback exchange takes testnet's, as the SDK makes them.
    """

    http_url: str
    websocket_url: str
    is_mainnet: bool

    @property
    def network(self) -> str:
        """Name of the network."""
        return "mainnet" if self.is_mainnet else "testnet"


def endpoint(base_url: str, network: str | None = None) -> Endpoint:
    """Addresses by the one setting there is.

    Args:
        base_url: "mainnet", "testnet", or an address such as http://127.0.0.1:3001.
        network: Network to sign for, where the address does not say: a node of one's own.

    Raises:
        InvalidInputError: It is no address, or of the other network than `network`.
    """
    url = _NAMES.get(base_url, base_url).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.path or parts.query or parts.fragment:
        raise InvalidInputError(
            field="base_url", value=base_url, expected="mainnet, testnet, or an address such as http://127.0.0.1:3001"
        )
    known = {address: name for name, address in _NAMES.items()}.get(url)
    if network not in (None, "mainnet", "testnet") or (known and network not in (None, known)):
        raise InvalidInputError(field="network", value=network, expected=known or "mainnet or testnet")
    return Endpoint(
        url, f"{_SCHEMES[parts.scheme]}://{parts.netloc}/ws", is_mainnet=(known or network or "testnet") == "mainnet"
    )
