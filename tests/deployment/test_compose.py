"""The files for containers say what can be run; where there is no Docker, as plain processes."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from service.keys import new_key
from service.serve import check_address
from service.settings import Settings
from tests.service.processes import END_S, Process

ROOT = Path(__file__).parent.parent.parent
RAY_NODES = ("ray-head", "ray-worker", "api-ray")
BIN = Path(sys.executable).parent


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


def dockerfile() -> list[tuple[str, str]]:
    """Instructions of the last stage, with what they say."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    last = max(number for number, line in enumerate(lines) if line.startswith("FROM"))
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines[last:]]


def image_environment() -> dict[str, str]:
    words = next(said for instruction, said in dockerfile() if instruction == "ENV")
    return dict(word.split("=", 1) for word in shlex.split(words))


def health_check() -> list[str]:
    said = next(said for instruction, said in dockerfile() if instruction == "HEALTHCHECK")
    command: list[str] = json.loads(said[said.index("[") :])
    return command


def test_the_composition_fits_the_schema() -> None:
    schema = json.loads(Path(__file__).with_name("compose_spec.json").read_text())
    validator = jsonschema.Draft201909Validator(schema)
    validator.validate(compose())
    broken = compose()
    broken["services"]["api"]["redonly"] = True
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(broken)


def test_what_is_named_is_declared() -> None:
    document = compose()
    for service in document["services"].values():
        for volume in service.get("volumes", []):
            name = volume.split(":")[0]
            assert name in document["volumes"] or (ROOT / name).is_file()
        assert set(service.get("secrets", [])) <= set(document["secrets"])
        assert set(service.get("networks", [])) <= {"default", *document["networks"]}
        assert set(service.get("depends_on", [])) <= set(document["services"])


def test_every_container_has_no_rights_and_publishes_to_loopback_alone() -> None:
    document = compose()
    for name, service in document["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert document["networks"]["ray"]["internal"] is True
    for name in ("ray-head", "ray-worker"):
        assert "ports" not in document["services"][name]
        assert list(document["services"][name]["networks"]) == ["ray"]
    assert all(document["services"][name]["profiles"] == ["ray"] for name in RAY_NODES)


def test_the_image_is_not_run_by_root_and_says_how_it_is() -> None:
    said = dict(dockerfile())
    assert said["USER"] == "vidar"
    assert json.loads(said["CMD"]) == ["vidar-det", "serve"]
    assert "VOLUME" in said


@pytest.mark.parametrize("name", ["api", "api-ray"])
def test_what_a_container_is_told_are_settings_and_strangers_stay_out(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(new_key("lab")[1])
    told = image_environment() | compose()["services"][name]["environment"]
    told |= {"VIDAR_KEYS_FILE": str(keys)}
    known = {f"VIDAR_{field.upper()}" for field in Settings.model_fields} | {"VIDAR_CACHE_DIR"}
    assert {key for key in told if key.startswith("VIDAR_")} <= known
    for key, value in told.items():
        monkeypatch.setenv(key, value)
    settings = Settings()
    assert settings.host == "0.0.0.0"  # noqa: S104 - of the container
    check_address(settings)


def test_prometheus_asks_for_what_there_is() -> None:
    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    services = {name: one for name, one in compose()["services"].items() if serves(one)}
    assert job["static_configs"] == [{"targets": [f"{name}:8000" for name in services]}]
    for name, service in services.items():
        assert name in service["environment"]["VIDAR_HOSTS"].split(",")
        assert "default" in service.get("networks", {"default": {}})  # as Prometheus is
    key = job["authorization"]["credentials_file"]
    assert Path(key).name in compose()["services"]["prometheus"]["secrets"]


def test_health_is_asked_where_a_service_listens_once_it_had_time_to_start() -> None:
    services = compose()["services"]
    ours = {name: one for name, one in services.items() if one["image"].startswith("vidar-det")}
    assert {name for name, one in ours.items() if serves(one)} == {"api", "api-ray"}
    for service in ours.values():
        is_asked = not service.get("healthcheck", {}).get("disable", False)
        assert is_asked == serves(service)
    measured_s = 108  # docs/scaling.md, from beside other work
    assert int(services["api-ray"]["healthcheck"]["start_period"].removesuffix("s")) > measured_s
    assert "test" not in services["api-ray"]["healthcheck"]  # the image's own


def serves(service: dict[str, Any]) -> bool:
    """Whether a container runs the service, and not a node of a cluster alone."""
    return "vidar-det serve" in " ".join(service.get("command", []))


def environment_here(name: str, folder: Path) -> dict[str, str]:
    """What a container is told, with this machine's folders and its loopback."""
    (folder / "keys").write_text(new_key("lab")[1])
    return (
        image_environment()
        | compose()["services"][name]["environment"]
        | {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(folder),
            "VIDAR_HOST": "127.0.0.1",
            "VIDAR_PORT": "0",
            "VIDAR_DATA_DIR": str(folder / "data"),
            "VIDAR_CACHE_DIR": os.environ["VIDAR_CACHE_DIR"],
            "VIDAR_KEYS_FILE": str(folder / "keys"),
        }
    )


def run_health_check(service: Process) -> int:
    command = [sys.executable, *health_check()[1:]]
    command[-1] = command[-1].replace(":8000", f":{service.client.base_url.port}")
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)  # noqa: S603 - ours
    return done.returncode


@pytest.mark.slow
def test_the_service_starts_and_is_found_healthy(tmp_path: Path) -> None:
    command = compose()["services"]["api"]["command"]
    command = [str(BIN / command[0]), *command[1:]]
    service = Process(command, environment_here("api", tmp_path), tmp_path / "log")
    try:
        assert run_health_check(service) == 0
        assert service.client.get("/v1/clips").status_code == 401
        service.process.terminate()
        service.process.wait(END_S)
        assert run_health_check(service) == 1
    finally:
        service.client.close()
        service.kill()


@pytest.mark.slow
@pytest.mark.ray
def test_the_nodes_of_a_cluster_find_each_other(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra 'ray'")
    (tmp_path / "token").write_text("ab" * 32)
    services = compose()["services"]
    here = environment_here("api-ray", tmp_path)
    here |= {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token"), "RAY_TMPDIR": "/tmp"}  # noqa: S108
    nodes: list[subprocess.Popen[bytes]] = []

    def start(name: str, address: str, port: str) -> Path:
        log = tmp_path / name
        words = [_on_this_machine(word, address, port) for word in services[name]["command"]]
        with log.open("wb") as out:
            nodes.append(
                subprocess.Popen(  # noqa: S603 - the composition's own command
                    [str(BIN / words[0]), *words[1:]], env=os.environ | here, stdout=out, stderr=out
                )
            )
        return log

    try:
        head = start("ray-head", "", "0")
        address = _wait_for(head, r"--address='([^']+)'")
        start("ray-worker", address, "")
        words = [_on_this_machine(w, address, "") for w in services["api-ray"]["command"]]
        # the processes of a node of its own would outlive the service here: the head's is joined
        words[-1] = words[-1].partition("&& exec ")[2]
        service = Process(shlex.split(words[-1]), here, tmp_path / "log")
        try:
            assert run_health_check(service) == 0
            service.process.terminate()
            service.process.wait(END_S)
        finally:
            service.client.close()
            service.kill()
    finally:
        for node in reversed(nodes):
            node.terminate()
            node.wait(60)


def _on_this_machine(word: str, address: str, port: str) -> str:
    """Replace the addresses of the containers' network."""
    if word.startswith("--node-ip-address"):
        return "--object-store-memory=134217728"
    word = word.replace("172.31.85.2:6379", address)
    return f"--port={port}" if word.startswith("--port") else word


def _wait_for(log: Path, pattern: str) -> str:
    until = time.monotonic() + END_S
    while time.monotonic() < until:
        if found := re.search(pattern, log.read_text()):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text())
