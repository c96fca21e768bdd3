# METADATA
# title: Deployments have two replicas
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.two_replicas

deny contains {"message": sprintf("%s/%s: ask for two replicas", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	object.get(one.object, ["spec", "replicas"], 1) < 2
}
