# METADATA
# title: Pods have at most five containers
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.few_containers

deny contains {"message": sprintf("%s/%s: split the pod", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	count(one.object.spec.template.spec.containers) > 5
}
