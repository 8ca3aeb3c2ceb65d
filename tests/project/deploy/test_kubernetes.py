"""Kubernetes takes the manifests, and they find each other."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from .hosts import KUBERNETES
from .hosts import PROJECT
from .hosts import kubernetes
from .hosts import objects
from .hosts import site_pod


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize(
    "path", sorted(KUBERNETES.glob("*.yaml")), ids=lambda path: path.name
)
def test_kubernetes_takes_each_object(path: Path, version: str) -> None:
    if path.name == "kustomization.yaml":
        assert yaml.safe_load(path.read_text("utf-8"))["kind"] == (
            "Kustomization"
        )
        return

    for one in yaml.safe_load_all(path.read_text("utf-8")):
        kubernetes_validate.validate(one, version, strict=True)


def test_kubernetes_files_are_all_in_use() -> None:
    file = yaml.safe_load(
        (KUBERNETES / "kustomization.yaml").read_text("utf-8")
    )

    there = {path.name for path in KUBERNETES.iterdir()}

    assert there == {
        *file["resources"], "kustomization.yaml", "migrate.yaml",
    }  # fmt: skip


def test_kubernetes_objects_find_each_other() -> None:
    labels = site_pod()["metadata"]["labels"]
    web = objects("web.yaml")
    [rule] = objects("ingress.yaml")["Ingress"]["spec"]["rules"]
    [path] = rule["http"]["paths"]
    config = kubernetes().given

    assert web["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert web["Service"]["spec"]["selector"] == labels
    assert web["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == (
        labels
    )
    assert (
        objects("network.yaml")["NetworkPolicy"]["spec"]["podSelector"][
            "matchLabels"
        ]
        == labels
    )
    assert path["backend"]["service"] == {
        "name": web["Service"]["metadata"]["name"],
        "port": {"name": "http"},
    }
    [door] = objects("network.yaml")["NetworkPolicy"]["spec"]["ingress"]
    assert door["from"][0]["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": objects("ingress.yaml")["Ingress"][
            "spec"
        ]["ingressClassName"]
    }
    assert config["DJANGO_ALLOWED_HOSTS"] == rule["host"]
    assert config["DJANGO_HOOKFLOW_DOMAIN"] == f"https://{rule['host']}"


def test_the_lines_for_prometheus_are_right_when_they_are_taken() -> None:
    text = (KUBERNETES / "network.yaml").read_text("utf-8")

    taken = yaml.safe_load(re.sub(r"(?m)^( +)# ([- ] ?)", r"\1\2", text))

    kubernetes_validate.validate(taken, "1.37", strict=True)
    [door] = taken["spec"]["ingress"]
    assert [
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for peer in door["from"]
    ] == ["traefik", "monitoring"]


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_kubernetes_pods_keep_no_right_they_do_not_need(kind: str) -> None:
    file = {"Deployment": "web.yaml", "Job": "migrate.yaml"}[kind]
    spec = objects(file)[kind]["spec"]["template"]["spec"]
    [container] = spec["containers"]
    user = re.search(
        r"^USER (\d+):(\d+)$",
        (PROJECT / "Dockerfile").read_text("utf-8"),
        re.MULTILINE,
    )
    assert user is not None

    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user[1]),
        "runAsGroup": int(user[2]),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [one["mountPath"] for one in container["volumeMounts"]] == ["/tmp"]


def test_the_command_for_a_release_names_its_image_everywhere(
    tmp_path: Path,
) -> None:
    page = (PROJECT / "docs/deployment/kubernetes.md").read_text("utf-8")
    [command] = re.findall(r"^\$ (sed .*)$", page, re.MULTILINE)
    shutil.copytree(PROJECT / "deploy", tmp_path / "deploy")

    subprocess.run(command, shell=True, cwd=tmp_path, check=True)

    images = [
        image
        for path in [*tmp_path.rglob("*.yaml")]
        for image in re.findall(
            r"image: (registry\S+)", path.read_text("utf-8")
        )
    ]
    assert len(images) >= 2
    assert set(images) == {"registry.example.com/shop:1.0.0"}
