"""The examples in deploy/: as far as they can be tried without containers and without root."""

from __future__ import annotations

from pathlib import Path

from social.settings import Settings, read_settings
from systems_common.testing.deploying import (
    assert_compose_is_whole,
    assert_nginx_takes_it,
    assert_started_alike,
    assert_systemd_takes_it,
    example_settings,
)

DEPLOY = Path(__file__).parents[1] / "deploy"


def test_the_settings_of_the_example_are_settings() -> None:
    settings = read_settings(example_settings(DEPLOY, "social", Settings))
    assert settings.rate_limit == 300
    assert settings.keeps_homes


def test_the_compose_file_names_pinned_images_and_what_is_there() -> None:
    services = assert_compose_is_whole(DEPLOY, "social", Settings)
    assert services["worker"]["environment"]["ROLES"] == "worker"


def test_nginx_takes_the_example(tmp_path: Path) -> None:
    assert_nginx_takes_it(DEPLOY, tmp_path)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    assert_systemd_takes_it(DEPLOY, "social", tmp_path)


def test_unit_image_and_example_start_the_service_alike() -> None:
    assert_started_alike(DEPLOY, "social")
