# METADATA
# title: Pods choose no node
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_node_name

deny contains {"message": sprintf("%s/%s: remove nodeName", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	one.object.spec.template.spec.nodeName
}
