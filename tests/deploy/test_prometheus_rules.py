"""The rules, the configuration and the metrics for Prometheus, as its own promtool judges them."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from node_sdk import not_run
from prometheus_client import CollectorRegistry, generate_latest
from proxy_programs import DEPLOY
from server_process import ROOT

from hubbub import Hub
from hubbub.metrics import hub_collector

RULES = DEPLOY / "prometheus/alerts.yml"
CASES = Path(__file__).with_name("alerts.yml")


@pytest.fixture(scope="module")
def promtool() -> str:
    """The program's path."""
    path = shutil.which("promtool")
    if path is None:
        not_run("NOT RUN: deploy/prometheus with promtool, which is not installed (scripts/programs)")
    assert path
    return path


def told(*command: str | Path, given: bytes | None = None) -> str:
    """What the program said, which must have found nothing."""
    done = subprocess.run(command, input=given, capture_output=True, timeout=30, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


def test_each_alert_fires_when_it_should_and_not_before(promtool: str) -> None:
    assert "SUCCESS" in told(promtool, "test", "rules", CASES)
    alerts = {
        rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    }
    fired = {
        one["alertname"]
        for case in yaml.safe_load(CASES.read_text())["tests"]
        for one in case["alert_rule_test"]
        if one.get("exp_alerts")
    }
    assert fired == alerts


def test_the_rules_and_the_configuration_of_the_page_are_what_prometheus_takes(
    promtool: str, tmp_path: Path
) -> None:
    page = (ROOT / "docs/how-to/observe.md").read_text()
    configuration = page.partition("```yaml\n")[2].partition("```")[0]
    key = tmp_path / "key"
    key.write_text("a key")
    (tmp_path / "prometheus.yml").write_text(
        configuration.replace("/etc/prometheus/hubbub-metrics-key", str(key))
    )
    shutil.copy(RULES, tmp_path / "alerts.yml")
    assert "9 rules found" in told(promtool, "check", "config", "--lint=all", tmp_path / "prometheus.yml")


def test_the_metrics_keep_the_conventions(promtool: str) -> None:
    registry = CollectorRegistry()
    registry.register(hub_collector(Hub()))
    assert told(promtool, "check", "metrics", given=generate_latest(registry)) == ""
