// Puts the annotations of its config on every manifest.

import { log } from "reeve:plugin/log@0.1.0";

export const transform = {
  transform(manifests, config) {
    const { annotations } = JSON.parse(config);
    if (!isTexts(annotations)) {
      refuse('the config must be {"annotations": {"key": "value"}}');
    }
    log("info", `annotating ${manifests.length} manifests`);
    return manifests.map((manifest) => annotate(JSON.parse(manifest), annotations));
  },
};

function annotate(manifest, annotations) {
  manifest.metadata ??= {};
  manifest.metadata.annotations = { ...manifest.metadata.annotations, ...annotations };
  return JSON.stringify(manifest);
}

function isTexts(value) {
  return value !== null && typeof value === "object" && Object.values(value).every((text) => typeof text === "string");
}

// The tenant reads this. `objects` may name what is wrong: [{ object: { apiVersion, kind, namespace, name }, field, message }].
function refuse(message, objects = []) {
  throw { message, objects };
}
