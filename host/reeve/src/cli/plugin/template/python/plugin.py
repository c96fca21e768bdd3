"""Puts the annotations of its config on every manifest."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.log import Level, log
from wit_world.imports.types import Refusal


class Transform(exports.Transform):
    def transform(self, manifests: list[str], config: str) -> list[str]:
        annotations = json.loads(config).get("annotations")
        if not isinstance(annotations, dict) or not all(isinstance(value, str) for value in annotations.values()):
            raise Err(Refusal('the config must be {"annotations": {"key": "value"}}', []))
        log(Level.INFO, f"annotating {len(manifests)} manifests")
        return [annotate(json.loads(manifest), annotations) for manifest in manifests]


def annotate(manifest: dict, annotations: dict) -> str:
    metadata = manifest.setdefault("metadata", {})
    metadata["annotations"] = (metadata.get("annotations") or {}) | annotations
    return json.dumps(manifest, ensure_ascii=False, separators=(",", ":"))
