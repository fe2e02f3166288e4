"""The files in ``deploy/``: what linters say of them, and that they agree with each other and with the settings."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sourceline.address import PostgresAddress, index_address
from sourceline.config import Settings
from tests.support.container import Containerfile

DEPLOY = Path(__file__).parent.parent / "deploy"
UNIT = DEPLOY / "sourceline.service"
CONTAINERFILE = Containerfile.read(DEPLOY / "Containerfile")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
CLUSTER: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.cluster.yaml").read_text("utf-8"))
SETTINGS = {f"SOURCELINE_{name.upper()}" for name in Settings.model_fields}


def unit_values(name: str) -> list[str]:
    """Return what a unit sets a name to, once for each line."""
    lines = (line.partition("=") for line in UNIT.read_text("utf-8").splitlines() if not line.startswith("#"))
    return [value for key, _, value in lines if key == name]


def test_the_linter_finds_nothing_in_the_containerfile() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    process = subprocess.run([linter, DEPLOY / "Containerfile"], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


def test_the_image_is_made_in_two_stages_from_one_slim_image() -> None:
    build, image = CONTAINERFILE.stages()
    assert build[0] == ("FROM", "python:3.11-slim AS build")
    assert image[0] == ("FROM", "python:3.11-slim")
    assert [argument for name, argument in image if name == "COPY"] == ["--from=build /opt/sourceline /opt/sourceline"]


def test_the_container_runs_as_a_user_by_number_who_is_not_root() -> None:
    user, group = map(int, CONTAINERFILE.last("USER").split(":"))
    assert min(user, group) >= 10_000
    owner = f"--owner={user} --group={group} "
    assert any(name == "RUN" and owner in argument for name, argument in CONTAINERFILE.stages()[-1])


def test_the_volumes_are_the_folders_of_the_settings() -> None:
    environment = CONTAINERFILE.environment()
    assert environment.keys() - {"PATH"} <= SETTINGS
    folders = [environment["SOURCELINE_DOCUMENTS"], environment["SOURCELINE_INDEX"]]
    assert json.loads(CONTAINERFILE.last("VOLUME")) == folders == ["/documents", "/index"]
    assert CONTAINERFILE.last("EXPOSE") == str(Settings.model_fields["port"].default)


def test_compose_gives_the_container_what_it_needs_and_nothing_else() -> None:
    service = COMPOSE["services"]["sourceline"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert service["read_only"] is True
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert service["tmpfs"] == ["/tmp"]
    mounts = {volume["target"]: volume for volume in service["volumes"]}
    assert list(mounts) == json.loads(CONTAINERFILE.last("VOLUME"))
    assert mounts["/documents"]["read_only"] is True
    assert mounts["/index"]["source"] in COMPOSE["volumes"]
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    assert service["environment"].keys() <= SETTINGS
    assert service["environment"]["SOURCELINE_API_KEY"].startswith("${SOURCELINE_API_KEY:?")  # or it does not start


def test_the_cluster_is_of_the_same_container_with_what_a_database_needs() -> None:
    services = dict(CLUSTER["services"])
    database = services.pop("database")
    assert services["worker"]["deploy"] == {"replicas": 2}
    assert [service["command"] for service in services.values()] == [
        ["rebuild-index"],
        ["worker"],
        ["serve"],
        ["serve"],
    ]
    hardened = ("read_only", "cap_drop", "security_opt", "tmpfs")
    for service in services.values():
        assert service["build"] == COMPOSE["services"]["sourceline"]["build"] | {"args": {"EXTRAS": "[postgres]"}}
        assert [service[name] for name in hardened] == [COMPOSE["services"]["sourceline"][name] for name in hardened]
        assert service["environment"].keys() - {"PGPASSWORD", "XDG_CACHE_HOME"} <= SETTINGS
        assert PostgresAddress(service["environment"]["SOURCELINE_INDEX"]) == index_address(
            "postgresql://sourceline@database/sourceline"
        )
        listens = service["command"] == ["serve"]
        assert service.get("healthcheck") == (None if listens else {"disable": True})
        if service["command"] != ["worker"]:  # which gets what it reads from the database
            assert service["volumes"] == COMPOSE["services"]["sourceline"]["volumes"][:1]
    assert database["image"].startswith("pgvector/pgvector:")


def test_the_unit_sets_what_are_settings_and_runs_as_a_user_of_its_own() -> None:
    settings = dict(value.split("=", 1) for value in unit_values("Environment"))
    assert settings.keys() <= SETTINGS
    assert settings["SOURCELINE_INDEX"] == f"/var/lib/{unit_values('StateDirectory')[0]}"
    assert unit_values("DynamicUser") == ["yes"]
    assert unit_values("ProtectSystem") == ["strict"]
    assert unit_values("CapabilityBoundingSet") == [""]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name  # it says so, too, where the command is missing
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/sourceline/bin/sourceline", "/bin/true"), "utf-8")
    process = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
