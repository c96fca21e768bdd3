// Spreads the pods of a workload over zones (or nodes), where its author did not say how.

package main

import (
	"encoding/json"
	"fmt"
)

// config is what the plugin is told; the zero value of each field is its default.
type config struct {
	TopologyKey       string `json:"topologyKey"`
	WhenUnsatisfiable string `json:"whenUnsatisfiable"`
}

type constraint struct {
	MaxSkew           int     `json:"maxSkew"`
	TopologyKey       string  `json:"topologyKey"`
	WhenUnsatisfiable string  `json:"whenUnsatisfiable"`
	LabelSelector     *object `json:"labelSelector"`
}

func transform(manifests []string, given string) ([]string, *Refusal) {
	settings, err := read(given)
	if err != nil {
		return nil, &Refusal{Message: err.Error()}
	}
	spread := 0
	for i, manifest := range manifests {
		changed, err := one(manifest, settings)
		if err != nil {
			return nil, &Refusal{Message: fmt.Sprintf("manifest %d: %v", i+1, err)}
		}
		if changed != "" {
			manifests[i] = changed
			spread++
		}
	}
	Log(Info, "spread %d workloads", spread)
	return manifests, nil
}

func read(given string) (config, error) {
	settings := config{TopologyKey: "topology.kubernetes.io/zone", WhenUnsatisfiable: "ScheduleAnyway"}
	if err := json.Unmarshal([]byte(given), &settings); err != nil {
		return settings, fmt.Errorf("the config cannot be read: %w", err)
	}
	switch settings.WhenUnsatisfiable {
	case "ScheduleAnyway", "DoNotSchedule":
		return settings, nil
	}
	return settings, fmt.Errorf("whenUnsatisfiable must be ScheduleAnyway or DoNotSchedule, not %q", settings.WhenUnsatisfiable)
}

// one is a manifest with its pods spread, or nothing where there is nothing to do.
func one(manifest string, settings config) (string, error) {
	workload, err := parse(manifest)
	if err != nil {
		return "", err
	}
	kind := workload.text("kind")
	if workload.text("apiVersion") != "apps/v1" || (kind != "Deployment" && kind != "StatefulSet") {
		return "", nil
	}
	spec, err := workload.child("spec")
	if err != nil {
		return "", err
	}
	var replicas int
	_ = json.Unmarshal(spec.values["replicas"], &replicas) // one, where it is not a number
	template, err := spec.child("template")
	if err != nil {
		return "", err
	}
	pod, err := template.child("spec")
	if err != nil {
		return "", err
	}
	selector, err := spec.child("selector")
	if err != nil {
		return "", err
	}
	if _, has := pod.values["topologySpreadConstraints"]; has || replicas < 2 || len(selector.keys) == 0 {
		return "", nil
	}
	pod.set("topologySpreadConstraints", []constraint{{1, settings.TopologyKey, settings.WhenUnsatisfiable, selector}})
	template.set("spec", pod)
	spec.set("template", template)
	workload.set("spec", spec)
	return workload.String(), nil
}
