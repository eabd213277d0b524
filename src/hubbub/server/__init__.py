"""``hubbub serve``: the hub as a ready server."""
