"""The live venue as it is set in a file: where it is, which coins, which account; never the key itself."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

__all__ = ["ExchangeConfig"]

Coins: TypeAlias = tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=64)], ...]
AccountAddress: TypeAlias = Annotated[str, msgspec.Meta(pattern="^(0x[0-9a-fA-F]{40})?$")]


class ExchangeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The live venue, and who trades there.

    Attributes:
        base_url: "mainnet", "testnet", or an address such as http://127.0.0.1:3001.
        network: Network to sign for where `base_url` is an address; "" takes testnet, as the official client does.
        coins: Coins to trade, builder dexes with their prefix: xyz:GOLD.
        references: Coins of which only the market is wanted, spot pairs too.
        account_address: The account that is traded for: the master's, not the agent's.
        vault_address: A vault or sub-account of it that is traded for instead.
        key_file: File that holds an agent's private key, mode 0600; "" takes the one HYPERMM_KEY_FILE names.
    """

    base_url: Annotated[
        str, msgspec.Meta(min_length=1, description="mainnet, testnet, or an address of the venue. Unit: 1.")
    ] = "mainnet"
    network: Annotated[
        Literal["", "mainnet", "testnet"],
        msgspec.Meta(description="Network to sign for where base_url is an address; empty: testnet. Unit: 1."),
    ] = ""
    coins: Annotated[Coins, msgspec.Meta(description="Coins to trade, with the dex before those of one. Unit: 1.")] = ()
    references: Annotated[
        Coins, msgspec.Meta(description="Coins of which only the market is wanted, spot pairs too. Unit: 1.")
    ] = ()
    account_address: Annotated[
        AccountAddress,
        msgspec.Meta(description="Account traded for, 0x and 40 digits: the master's, not the agent's. Unit: 1."),
    ] = ""
    vault_address: Annotated[
        AccountAddress, msgspec.Meta(description="Vault or sub-account traded for instead, 0x and 40 digits. Unit: 1.")
    ] = ""
    key_file: Annotated[
        str, msgspec.Meta(description="File of an agent's key, mode 0600; empty: HYPERMM_KEY_FILE's. Unit: 1.")
    ] = ""
