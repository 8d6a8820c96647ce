"""Hyperliquid: its words (`wire`), read (`decode`), written (`encode`), and the session between; nothing here does I/O.

The shells around it, a websocket and an HTTP client, carry bytes and time in and bytes out.
"""
