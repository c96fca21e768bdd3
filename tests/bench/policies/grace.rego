# METADATA
# title: Pods end within two minutes
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.grace

deny contains {"message": sprintf("%s/%s: end sooner", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	one.object.spec.template.spec.terminationGracePeriodSeconds > 120
}
