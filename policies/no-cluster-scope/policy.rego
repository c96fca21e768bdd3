# METADATA
# title: A tenant writes nothing that lies in no namespace
# description: >-
#   Objects outside of every namespace are shared by all tenants: whoever may write one reaches the neighbours. The kinds
#   in parameters.allowed, such as `ClusterRole.rbac.authorization.k8s.io` or `Namespace`, are let through.
# custom:
#   severity: high
#   hint: use the kind's namespaced counterpart, or ask the platform team to deliver the object or to allow its kind
# related_resources:
#   - https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/#not-all-objects-are-in-a-namespace
package reeve.no_cluster_scope

deny contains objection if {
	some i in ({n | some n, _ in objects} - in_a_namespace)
	planned := objects[i]
	not is_allowed(planned)
	objection := {
		"message": sprintf("%s would be %s, and lies in no namespace: leave it out, or have the platform team allow %s in parameters.allowed of no-cluster-scope", [subject(planned), deed(planned), kind_of(planned)]),
		"object": subject(planned),
	}
}

deny contains objection if {
	not is_readable
	objection := {"message": "the objects of the plan cannot be read, so nothing of it is let through"}
}

in_a_namespace := {i |
	some i, planned in objects
	is_string(planned.namespace)
	planned.namespace != ""
}

is_allowed(planned) if {
	planned.namespace == ""
	kind_of(planned) in data.parameters.allowed
}

objects := input.objects if {
	is_array(input.objects)
} else := []

is_readable if input.phase == "spec"

is_readable if {
	input.phase == "plan"
	is_array(input.objects)
}

# `Kind.group`, the kind alone in the core group; "?" is the kind of nothing.
kind_of(planned) := planned.kind if {
	is_string(planned.kind)
	planned.group == ""
} else := concat(".", [planned.kind, planned.group]) if {
	is_string(planned.kind)
	is_string(planned.group)
} else := "?"

subject(planned) := sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]) if {
	is_string(planned.kind)
	is_string(planned.namespace)
	is_string(planned.name)
} else := "an object that cannot be read"

deed(planned) := "deleted" if {
	planned.action == "prune"
} else := "applied"
