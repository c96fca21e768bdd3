# METADATA
# title: Few old versions are kept
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.history

deny contains {"message": sprintf("%s/%s: keep fewer", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	one.object.spec.revisionHistoryLimit > 10
}
