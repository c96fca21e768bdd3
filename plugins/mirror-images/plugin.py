"""Pulls images through mirrors: the beginning of an image's name becomes another."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.log import Level, log
from wit_world.imports.types import Refusal

CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
WRONG = 'the config must be {"mirrors": {"docker.io/": "mirror.example/hub/"}}'


class Transform(exports.Transform):
    def transform(self, manifests: list[str], config: str) -> list[str]:
        mirrors = json.loads(config).get("mirrors")
        if not isinstance(mirrors, dict) or not all(isinstance(place, str) for place in mirrors.values()):
            raise Err(Refusal(WRONG, []))
        moved = 0
        made = []
        for text in manifests:
            manifest = json.loads(text)
            changes = sum(mirror(container, mirrors) for container in containers(manifest))
            moved += changes
            # What nothing was done to comes back as it was, to the byte.
            made.append(json.dumps(manifest, ensure_ascii=False, separators=(",", ":")) if changes else text)
        log(Level.INFO, f"{moved} images come through mirrors")
        return made


def containers(manifest: dict):
    """The containers of the pod in a workload of Kubernetes' own."""
    path = {
        "Pod": ["spec"],
        "CronJob": ["spec", "jobTemplate", "spec", "template", "spec"],
    }.get(manifest.get("kind"), ["spec", "template", "spec"])
    group = manifest.get("apiVersion", "").rpartition("/")[0]
    if group not in ("", "apps", "batch"):
        return
    pod = manifest
    for key in path:
        pod = pod.get(key)
        if not isinstance(pod, dict):
            return
    for field in CONTAINERS:
        yield from pod.get(field) or []


def mirror(container: dict, mirrors: dict) -> int:
    """Moves one image; the longest beginning that fits counts."""
    image = full(container.get("image") or "")
    for beginning in sorted(mirrors, key=len, reverse=True):
        if image.startswith(beginning):
            container["image"] = mirrors[beginning] + image.removeprefix(beginning)
            return 1
    return 0


def full(image: str) -> str:
    """The name with its registry: `nginx` is `docker.io/library/nginx`."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return image
    return f"docker.io/{image}" if slash else f"docker.io/library/{image}"
