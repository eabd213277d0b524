"""What all tests share."""

import pytest

pytest.register_assert_rewrite("broker_contract", "guests", "polling", "raw_client", "servers")
