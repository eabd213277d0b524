"""The rules of the hub, without I/O: no asyncio, no clock, no framework.

Whoever calls in here passes the time (seconds) as an argument and carries out what is returned.
"""
