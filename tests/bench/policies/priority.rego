# METADATA
# title: Pods have no priority of the system
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.priority

deny contains {"message": sprintf("%s/%s: take another priority", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	startswith(one.object.spec.template.spec.priorityClassName, "system-")
}
