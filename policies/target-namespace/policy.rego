# METADATA
# title: A Kustomization targets its own namespace
# description: >-
#   A tenant's ServiceAccount may have been given rights elsewhere; what a tenant delivers stays in the namespace of
#   its Kustomization all the same. Cluster-scoped objects lie in no namespace: the account's rights alone hold them.
# custom:
#   severity: high
#   hint: set spec.targetNamespace to the Kustomization's own namespace, and leave metadata.namespace out of the manifests
package reeve.target_namespace

deny contains objection if {
	not targets_itself
	objection := {
		"message": sprintf("Kustomization %s/%s: spec.targetNamespace is %s; set it to %s, the namespace of the Kustomization", [namespace, name, target, namespace]),
		"object": sprintf("Kustomization/%s/%s", [namespace, name]),
		"path": "spec.targetNamespace",
	}
}

deny contains objection if {
	is_array(input.objects)
	some i in ({n | some n, _ in input.objects} - at_home)
	planned := input.objects[i]
	is_object(planned)
	objection := {
		"message": sprintf("%s would be %s in namespace %s; Kustomization %s/%s may only reach namespace %s", [subject(planned), deed(planned), lies_in(planned), namespace, name, namespace]),
		"object": subject(planned),
		"path": "metadata.namespace",
	}
}

deny contains objection if {
	not is_readable
	objection := {"message": "the objects of the plan cannot be read, so nothing of it is let through"}
}

# Each of these is said the way that cannot be undefined: what does not match exactly does not match.
targets_itself if {
	is_string(input.kustomization.metadata.namespace)
	input.kustomization.spec.targetNamespace == input.kustomization.metadata.namespace
}

at_home := {i |
	some i, planned in input.objects
	planned.namespace == ""
} | {i |
	home := input.kustomization.metadata.namespace
	is_string(home)
	some i, planned in input.objects
	planned.namespace == home
}

is_readable if input.phase == "spec"

is_readable if {
	input.phase == "plan"
	is_array(input.objects)
	every planned in input.objects {
		is_object(planned)
	}
}

namespace := object.get(input, ["kustomization", "metadata", "namespace"], "?")

name := object.get(input, ["kustomization", "metadata", "name"], "?")

target := set if {
	set := input.kustomization.spec.targetNamespace
	is_string(set)
	set != ""
} else := "missing"

lies_in(planned) := object.get(planned, "namespace", "?")

subject(planned) := sprintf("%s/%s/%s", [
	object.get(planned, "kind", "?"),
	lies_in(planned),
	object.get(planned, "name", "?"),
])

deed(planned) := "deleted" if planned.action == "prune"

deed(planned) := "applied" if not planned.action == "prune"
