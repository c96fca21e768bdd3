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

applied(manifest) := object.union(claim, {"action": "apply", "object": manifest})

forced(objects, spec) := objections if {
	objections := data.reeve.protected_objects.deny with input as {"phase": "plan", "kustomization": {"spec": spec}, "objects": objects}
		with data.parameters as {}
}

test_what_holds_data_is_not_made_anew_by_force if {
	count(forced([applied({})], {"force": true})) == 1
	some objection in forced([applied({})], {"force": true})
	objection.message == "PersistentVolumeClaim/acme/it may be deleted and made anew by force, and what it holds is lost then: take force away, or annotate it with reeve.dev/allow-prune: \"true\""
	count(forced([applied({})], {"force": "yes"})) == 1
	count(forced([applied({})], {"force": false})) == 0
	count(forced([applied({})], {})) == 0
	count(forced([object.union(applied({}), {"kind": "ConfigMap"})], {"force": true})) == 0
}

test_the_object_itself_says_force if {
	every place in ["annotations", "labels"] {
		count(forced([applied({"metadata": {place: {"kustomize.toolkit.fluxcd.io/force": "Enabled"}}})], {})) == 1
		count(forced([applied({"metadata": {place: {"kustomize.toolkit.fluxcd.io/force": "Disabled"}}})], {})) == 0
	}
}

test_what_is_released_may_be_forced_and_nothing_else_changed_or_not if {
	count(forced([applied({"metadata": {"annotations": {"reeve.dev/allow-prune": "true"}}})], {"force": true})) == 0
	count(forced([applied({"metadata": {"annotations": {"reeve.dev/allow-prune": "yes"}}})], {"force": true})) == 1
	count(forced([object.union(applied({"spec": {"size": 1}}), {"previous": {"spec": {"size": 1}}})], {"force": true})) == 1
	count(forced([object.union(applied({"spec": {"size": 2}}), {"previous": {"spec": {"size": 1}}})], {"force": true})) == 1
}

allowing(manifest, value) := object.union(manifest, {"metadata": {"annotations": {"reeve.dev/allow-prune": value}}})

owned := {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "1"}]}}

test_what_holds_data_has_no_owners_that_take_it_along if {
	some objection in denied([applied(owned)], {})
	objection.message == "PersistentVolumeClaim/acme/it would be deleted, and what it holds with it, when its owners are not there: take metadata.ownerReferences away, or annotate it with reeve.dev/allow-prune: \"true\""
	objection.object == "PersistentVolumeClaim/acme/it"
	objection.path == "metadata.ownerReferences"
	count(denied([object.union(applied(owned), {"previous": owned})], {})) == 1
	count(denied([applied(allowing(owned, "yes"))], {})) == 1
	count(denied([applied(allowing(owned, "true"))], {})) == 0
	count(denied([applied({"metadata": {"ownerReferences": []}})], {})) == 0
	count(denied([object.union(applied(owned), {"kind": "ConfigMap"})], {})) == 0
}

test_what_holds_data_is_no_hook if {
	every key in ["reeve.dev/hook", "argocd.argoproj.io/hook"] {
		hook := {"metadata": {"annotations": {key: "PreSync"}}}
		count(denied([applied(hook)], {})) == 1
		count(denied([object.union(applied(hook), {"previous": hook})], {})) == 1
		count(denied([applied(allowing(hook, "true"))], {})) == 0
		count(denied([applied({"metadata": {"annotations": {key: ""}}})], {})) == 0
		count(denied([object.union(applied(hook), {"group": "batch", "kind": "Job"})], {})) == 0
	}
}

retaining(policy) := {"spec": {"persistentVolumeClaimRetentionPolicy": policy}}

stateful(manifest) := object.union(applied(manifest), {"group": "apps", "kind": "StatefulSet"})

test_the_claims_of_a_stateful_set_are_retained if {
	every when in ["whenDeleted", "whenScaled"] {
		deleting := retaining({when: "Delete"})
		some objection in denied([stateful(deleting)], {})
		objection.message == sprintf("StatefulSet/acme/it would have its claims deleted, and what they hold with them: set %s to Retain, or annotate it with reeve.dev/allow-prune: \"true\"", [when])
		objection.path == sprintf("spec.persistentVolumeClaimRetentionPolicy.%s", [when])
		count(denied([stateful(allowing(deleting, "true"))], {})) == 0
		count(denied([stateful(allowing(deleting, true))], {})) == 1
		count(denied([stateful(deleting)], {"kinds": ["Namespace"]})) == 0
		count(denied([object.union(stateful(deleting), {"group": "other.example"})], {})) == 0
	}
	count(denied([stateful(retaining({"whenDeleted": "Delete", "whenScaled": "Delete"}))], {})) == 2
	count(denied([stateful(retaining({"whenDeleted": "Retain", "whenScaled": null}))], {})) == 0
	count(denied([stateful({})], {})) == 0
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
