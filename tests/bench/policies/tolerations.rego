# METADATA
# title: Pods tolerate only what they may
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.tolerations

deny contains {"message": sprintf("%s/%s: remove the toleration", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some toleration in one.object.spec.template.spec.tolerations
	not toleration.key in {"spot", "gpu"}
}
