# METADATA
# title: Containers have a limit of memory
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.memory_limit

deny contains {"message": sprintf("%s/%s: set resources.limits.memory", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	not container.resources.limits.memory
}
