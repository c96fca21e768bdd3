# METADATA
# title: What holds data is not deleted by leaving it out of git
# description: >-
#   A file that is lost in a merge, or a path that is renamed, deletes what it declared. For a Namespace, a claim on
#   storage and a CustomResourceDefinition that is final. They are deleted only when the manifest as it was applied last
#   says `reeve.dev/allow-prune: "true"`. Where `force` may delete one to make it anew, the manifest must say so that is
#   to be applied, changed or not: what it is on the cluster may have changed. So must one that is a hook, since hooks come and go; one with
#   owners, since the garbage collector deletes what has none left; and a StatefulSet that deletes its claims. Other kinds
#   can be named in parameters.kinds.
# custom:
#   severity: high
#   hint: 'put the annotation reeve.dev/allow-prune: "true" on the object in git, let that be applied, then remove it'
# related_resources:
#   - https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming
#   - https://kubernetes.io/docs/concepts/architecture/garbage-collection/
#   - https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention
package reeve.protected_objects

deny contains objection if {
	some planned in objects
	not planned.action == "apply"
	not is_spared(planned)
	objection := {
		"message": sprintf("%s would be deleted, and what it holds with it: keep it in git, or annotate it there with reeve.dev/allow-prune: \"true\", let that be applied, and remove it then", [subject(planned)]),
		"object": subject(planned),
		"path": "metadata.annotations[reeve.dev/allow-prune]",
	}
}

deny contains objection if {
	some planned in objects
	planned.action == "apply"
	kind_of(planned) in protected
	is_forced(planned)
	not says_so(planned)
	objection := {
		"message": sprintf("%s may be deleted and made anew by force, and what it holds is lost then: take force away, or annotate it with reeve.dev/allow-prune: \"true\"", [subject(planned)]),
		"object": subject(planned),
		"path": "metadata.annotations[reeve.dev/allow-prune]",
	}
}

deny contains objection if {
	some planned in objects
	planned.action == "apply"
	kind_of(planned) in protected
	is_hook(planned)
	not says_so(planned)
	objection := {
		"message": sprintf("%s is a hook, and what it holds is deleted with it: take the annotation away, or annotate it with reeve.dev/allow-prune: \"true\"", [subject(planned)]),
		"object": subject(planned),
		"path": "metadata.annotations[reeve.dev/allow-prune]",
	}
}

deny contains objection if {
	some planned in objects
	planned.action == "apply"
	kind_of(planned) in protected
	not object.get(planned, ["object", "metadata", "ownerReferences"], null) in [null, []]
	not says_so(planned)
	objection := {
		"message": sprintf("%s would be deleted, and what it holds with it, when its owners are not there: take metadata.ownerReferences away, or annotate it with reeve.dev/allow-prune: \"true\"", [subject(planned)]),
		"object": subject(planned),
		"path": "metadata.ownerReferences",
	}
}

deny contains objection if {
	"PersistentVolumeClaim" in protected
	some planned in objects
	planned.action == "apply"
	kind_of(planned) == "StatefulSet.apps"
	some when in ["whenDeleted", "whenScaled"]
	not object.get(planned, ["object", "spec", "persistentVolumeClaimRetentionPolicy", when], null) in [null, "Retain"]
	not says_so(planned)
	objection := {
		"message": sprintf("%s would have its claims deleted, and what they hold with them: set %s to Retain, or annotate it with reeve.dev/allow-prune: \"true\"", [subject(planned), when]),
		"object": subject(planned),
		"path": sprintf("spec.persistentVolumeClaimRetentionPolicy.%s", [when]),
	}
}

deny contains objection if {
	not is_readable
	objection := {"message": "the objects of the plan cannot be read, so nothing of it is let through"}
}

is_spared(planned) if {
	planned.action == "prune"
	is_string(planned.kind)
	is_string(planned.group)
	not kind_of(planned) in protected
}

is_spared(planned) if {
	planned.action == "prune"
	planned.previous.metadata.annotations["reeve.dev/allow-prune"] == "true"
}

# As the apply reads it: the Kustomization's field, or the object's annotation or label.
is_forced(_) if not object.get(input, ["kustomization", "spec", "force"], false) in [null, false]

is_forced(planned) if {
	some place in ["annotations", "labels"]
	value := planned.object.metadata[place]["kustomize.toolkit.fluxcd.io/force"]
	lower(value) == "enabled"
}

# As the plan reads it: under either prefix.
is_hook(planned) if {
	some key in ["reeve.dev/hook", "argocd.argoproj.io/hook"]
	not object.get(planned, ["object", "metadata", "annotations", key], null) in [null, ""]
}

says_so(planned) if planned.object.metadata.annotations["reeve.dev/allow-prune"] == "true"

protected := data.parameters.kinds if {
	is_array(data.parameters.kinds)
} else := ["Namespace", "PersistentVolumeClaim", "CustomResourceDefinition.apiextensions.k8s.io"]

objects := input.objects if {
	is_array(input.objects)
} else := []

is_readable if input.phase == "spec"

is_readable if {
	input.phase == "plan"
	is_array(input.objects)
}

kind_of(planned) := planned.kind if {
	planned.group == ""
} else := concat(".", [planned.kind, planned.group])

subject(planned) := sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]) if {
	is_string(planned.kind)
	is_string(planned.namespace)
	is_string(planned.name)
} else := "an object that cannot be read"
