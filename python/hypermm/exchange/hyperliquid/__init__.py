"""Hyperliquid: its words (`wire`), read (`decode`), written (`encode`), and the session between: no I/O in any of them.

The shells around them, a websocket and an HTTP client, carry bytes and time in and bytes out; `signer` keeps the key.
"""
