package reeve.target_namespace_test

denied(phase, spec, objects) := objections if {
	objections := data.reeve.target_namespace.deny with input as {
		"phase": phase,
		"kustomization": {"metadata": {"namespace": "acme", "name": "web"}, "spec": spec},
		"tenant": {"name": "acme", "namespaces": ["acme"]},
		"objects": objects,
	}
}

own := {"targetNamespace": "acme"}

planned(action, namespace) := {"action": action, "kind": "ConfigMap", "name": "settings", "namespace": namespace}

test_its_own_namespace_is_allowed if {
	count(denied("spec", own, [])) == 0
}

test_a_missing_target_is_denied if {
	count(denied("spec", {}, [])) == 1
}

test_an_empty_target_is_denied if {
	count(denied("spec", {"targetNamespace": null}, [])) == 1
	count(denied("spec", {"targetNamespace": ""}, [])) == 1
}

test_a_neighbour_is_denied if {
	some objection in denied("spec", {"targetNamespace": "other"}, [])
	objection.message == "Kustomization acme/web: spec.targetNamespace is other; set it to acme, the namespace of the Kustomization"
	objection.path == "spec.targetNamespace"
}

test_objects_at_home_and_in_no_namespace_are_allowed if {
	count(denied("plan", own, [planned("apply", "acme"), planned("prune", "acme"), planned("apply", "")])) == 0
}

test_an_object_applied_elsewhere_is_denied if {
	some objection in denied("plan", own, [planned("apply", "acme"), planned("apply", "other")])
	objection.message == "ConfigMap/other/settings would be applied in namespace other; Kustomization acme/web may only reach namespace acme"
	objection.object == "ConfigMap/other/settings"
}

test_an_object_pruned_elsewhere_is_denied if {
	some objection in denied("plan", own, [planned("prune", "other")])
	objection.message == "ConfigMap/other/settings would be deleted in namespace other; Kustomization acme/web may only reach namespace acme"
}

test_an_object_whose_namespace_cannot_be_read_is_denied if {
	count(denied("plan", own, [{"action": "apply", "kind": "ConfigMap", "name": "settings"}])) == 1
	count(denied("plan", own, [{"action": "apply", "kind": "ConfigMap", "name": "settings", "namespace": null}])) == 1
}

test_a_plan_without_a_list_of_objects_is_denied if {
	count(denied("plan", own, null)) == 1
	count(denied("other", own, [])) == 1
	count(denied("plan", own, [null, "text", 1, []])) == 1
}

test_an_empty_document_is_denied if {
	count(data.reeve.target_namespace.deny) == 2 with input as {}
}
