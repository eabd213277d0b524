"""Hooks: a backend of any language is asked over HTTP who a client is and what it may.

The wire is that of Centrifugo's event proxies, as its page "Proxy events to the backend" describes it. What
needs the HTTP client is imported only where a hook is configured.
"""
