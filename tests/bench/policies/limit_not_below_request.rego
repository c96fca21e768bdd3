# METADATA
# title: A limit is at least what is asked for
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.limit_not_below_request

deny contains {"message": sprintf("%s/%s: raise the limit", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	units.parse_bytes(container.resources.limits.memory) < units.parse_bytes(container.resources.requests.memory)
}
