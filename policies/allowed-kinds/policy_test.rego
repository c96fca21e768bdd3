package reeve.allowed_kinds_test

denied(objects, parameters) := objections if {
	objections := data.reeve.allowed_kinds.deny with input as {"phase": "plan", "objects": objects} with data.parameters as parameters
}

planned(kind, group) := {"action": "apply", "group": group, "kind": kind, "namespace": "acme", "name": "it"}

test_a_kind_is_allowed_by_its_full_name if {
	count(denied([planned("ConfigMap", ""), planned("Deployment", "apps")], {"allowed": ["ConfigMap", "Deployment.apps"]})) == 0
	count(denied([planned("Deployment", "apps")], {"allowed": ["Deployment"]})) == 1
	count(denied([planned("ConfigMap", "evil.example")], {"allowed": ["ConfigMap"]})) == 1
}

test_a_whole_group_is_allowed_by_a_star if {
	count(denied([planned("Deployment", "apps"), planned("StatefulSet", "apps")], {"allowed": ["*.apps"]})) == 0
	count(denied([planned("Deployment", "apps.evil.example")], {"allowed": ["*.apps"]})) == 1
	count(denied([planned("ConfigMap", "")], {"allowed": ["*.", "*"]})) == 1
}

test_without_a_list_nothing_is_allowed if {
	count(denied([planned("ConfigMap", "")], {})) == 1
	count(denied([planned("ConfigMap", "")], {"allowed": "ConfigMap"})) == 1
	count(denied([planned("ConfigMap", "")], null)) == 1
	count(data.reeve.allowed_kinds.deny) == 1 with input as {"phase": "plan", "objects": [planned("ConfigMap", "")]}
}

test_what_is_deleted_is_asked_as_well if {
	some objection in denied([object.union(planned("Secret", ""), {"action": "prune"})], {"allowed": ["ConfigMap"]})
	objection.message == "Secret/acme/it would be deleted, and kind Secret is not allowed: leave it out, or have the platform team add Secret to parameters.allowed of allowed-kinds"
	objection.object == "Secret/acme/it"
}

test_what_cannot_be_read_is_denied if {
	count(denied([planned(null, "")], {"allowed": [null, "ConfigMap"]})) == 1
	count(denied([planned("ConfigMap", null)], {"allowed": ["ConfigMap"]})) == 1
	count(denied([null, "text", 1, []], {"allowed": ["ConfigMap"]})) == 1
	count(denied(null, {"allowed": ["ConfigMap"]})) == 1
	count(data.reeve.allowed_kinds.deny) == 1 with input as {}
}

test_the_spec_alone_says_nothing_of_kinds if {
	count(data.reeve.allowed_kinds.deny) == 0 with input as {"phase": "spec", "objects": []}
}
