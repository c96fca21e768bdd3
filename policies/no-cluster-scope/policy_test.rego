package reeve.no_cluster_scope_test

denied(objects, parameters) := objections if {
	objections := data.reeve.no_cluster_scope.deny with input as {"phase": "plan", "objects": objects} with data.parameters as parameters
}

planned(action, kind, group, namespace) := {"action": action, "group": group, "kind": kind, "namespace": namespace, "name": "it"}

role := planned("apply", "ClusterRole", "rbac.authorization.k8s.io", "")

test_what_lies_in_a_namespace_is_allowed if {
	count(denied([planned("apply", "ConfigMap", "", "acme"), planned("prune", "ConfigMap", "", "acme")], {})) == 0
}

test_what_lies_in_none_is_denied_applied_or_deleted if {
	count(denied([role, planned("prune", "Namespace", "", "")], {})) == 2
}

test_a_kind_is_allowed_by_its_full_name if {
	count(denied([role], {"allowed": ["ClusterRole.rbac.authorization.k8s.io"]})) == 0
	count(denied([planned("apply", "Namespace", "", "")], {"allowed": ["Namespace"]})) == 0
	count(denied([role], {"allowed": ["ClusterRole"]})) == 1
	count(denied([role], {"allowed": ["ClusterRole.rbac"]})) == 1
	count(denied([planned("apply", "ClusterRole", "evil.example", "")], {"allowed": ["ClusterRole.rbac.authorization.k8s.io"]})) == 1
}

test_parameters_of_another_shape_allow_nothing if {
	count(denied([role], {"allowed": "ClusterRole.rbac.authorization.k8s.io"})) == 1
	count(denied([role], {"allowed": null})) == 1
	count(denied([role], null)) == 1
}

test_the_message_says_what_and_what_to_do if {
	some objection in denied([role], {})
	objection.message == "ClusterRole//it would be applied, and lies in no namespace: leave it out, or have the platform team allow ClusterRole.rbac.authorization.k8s.io in parameters.allowed of no-cluster-scope"
	objection.object == "ClusterRole//it"
}

test_what_cannot_be_read_is_denied if {
	count(denied([planned("apply", "ConfigMap", "", null)], {})) == 1
	count(denied([planned("apply", null, "", "")], {"allowed": [null]})) == 1
	count(denied([planned("apply", "Namespace", null, "")], {"allowed": ["Namespace"]})) == 1
	count(denied([null, "text", 1, []], {})) == 1
	count(denied(null, {})) == 1
	count(denied({}, {})) == 1
	count(data.reeve.no_cluster_scope.deny) == 1 with input as {}
}
