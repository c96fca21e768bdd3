# METADATA
# title: Deployments roll
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_recreate

deny contains {"message": sprintf("%s/%s: remove the strategy", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	one.object.spec.strategy.type == "Recreate"
}
