# METADATA
# title: Containers ask for at most a gibibyte
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.memory_is_bounded

deny contains {"message": sprintf("%s/%s: ask for less memory", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	units.parse_bytes(container.resources.limits.memory) > most
}

most := 1073741824
