# METADATA
# title: Services take no port of the nodes
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_node_port

deny contains {"message": sprintf("%s/%s: use ClusterIP", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Service"
	one.object.spec.type in {"NodePort", "LoadBalancer"}
}
