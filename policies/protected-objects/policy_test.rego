package reeve.protected_objects_test

denied(objects, parameters) := objections if {
	objections := data.reeve.protected_objects.deny with input as {"phase": "plan", "objects": objects} with data.parameters as parameters
}

pruned(kind, group) := {"action": "prune", "group": group, "kind": kind, "namespace": "acme", "name": "it"}

claim := pruned("PersistentVolumeClaim", "")

annotated(planned, value) := object.union(planned, {"previous": {"metadata": {"annotations": {"reeve.dev/allow-prune": value}}}})

test_what_holds_data_is_not_deleted if {
	count(denied([claim, pruned("Namespace", ""), pruned("CustomResourceDefinition", "apiextensions.k8s.io")], {})) == 3
	some objection in denied([claim], {})
	objection.message == "PersistentVolumeClaim/acme/it would be deleted, and what it holds with it: keep it in git, or annotate it there with reeve.dev/allow-prune: \"true\", let that be applied, and remove it then"
	objection.object == "PersistentVolumeClaim/acme/it"
	objection.path == "metadata.annotations[reeve.dev/allow-prune]"
}

test_what_was_released_is_deleted if {
	count(denied([annotated(claim, "true")], {})) == 0
}

test_only_the_text_true_releases if {
	count(denied([annotated(claim, "false")], {})) == 1
	count(denied([annotated(claim, true)], {})) == 1
	count(denied([annotated(claim, "True")], {})) == 1
	count(denied([object.union(claim, {"previous": null})], {})) == 1
	count(denied([object.union(claim, {"object": annotated(claim, "true").previous})], {})) == 1
}

test_other_kinds_and_what_is_applied_are_not_asked if {
	count(denied([pruned("ConfigMap", ""), pruned("Namespace", "evil.example"), object.union(claim, {"action": "apply"})], {})) == 0
}

test_the_platform_names_other_kinds if {
	count(denied([claim, pruned("Database", "db.example")], {"kinds": ["Database.db.example"]})) == 1
	count(denied([claim], {"kinds": "PersistentVolumeClaim"})) == 1
	count(denied([claim], null)) == 1
}

test_what_cannot_be_read_is_denied if {
	count(denied([pruned(null, "")], {})) == 1
	count(denied([pruned("ConfigMap", null)], {})) == 1
	count(denied([null, "text", 1, [], {}], {})) == 1
	count(denied([object.union(pruned("ConfigMap", ""), {"action": "other"})], {})) == 1
	count(denied(null, {})) == 1
	count(data.reeve.protected_objects.deny) == 1 with input as {}
}
