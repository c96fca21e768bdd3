// Puts the annotations of its config on every manifest.

package main

import (
	"encoding/json"
	"fmt"
)

// transform is called once, in a fresh instance, with manifests and config as JSON.
func transform(manifests []string, config string) ([]string, *Refusal) {
	var settings struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal([]byte(config), &settings); err != nil || settings.Annotations == nil {
		return nil, &Refusal{Message: `the config must be {"annotations": {"key": "value"}}`}
	}
	Log(Info, "annotating %d manifests", len(manifests))
	annotated := make([]string, len(manifests))
	for i, manifest := range manifests {
		one, err := annotate(manifest, settings.Annotations)
		if err != nil {
			return nil, &Refusal{Message: err.Error()}
		}
		annotated[i] = one
	}
	return annotated, nil
}

// annotate parses only what it changes: the rest stays as it is, numbers and the order of keys too.
func annotate(manifest string, annotations map[string]string) (string, error) {
	object, err := parse(manifest)
	if err != nil {
		return "", fmt.Errorf("a manifest cannot be read: %w", err)
	}
	metadata, err := object.child("metadata")
	if err != nil {
		return "", err
	}
	present, err := metadata.child("annotations")
	if err != nil {
		return "", err
	}
	for _, key := range sorted(annotations) {
		present.set(key, annotations[key])
	}
	metadata.set("annotations", present)
	object.set("metadata", metadata)
	return object.String(), nil
}
