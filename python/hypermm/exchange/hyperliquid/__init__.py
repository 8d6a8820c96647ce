"""Hyperliquid: its words (`wire`), read (`decode`), written (`encode`), and the session between: no I/O in any of them.

The shells around them, `websocket` and `http`, carry bytes and time in and bytes out; `signer` keeps the key, `gateway`
carries out orders by either way, `startup` asks whether clock, key, account and money are right.
"""
