# METADATA
# title: Containers listen above 1024
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.ports_are_high

deny contains {"message": sprintf("%s/%s: listen on a higher port", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some container in one.object.spec.template.spec.containers
	some port in container.ports
	port.containerPort < 1024
}
