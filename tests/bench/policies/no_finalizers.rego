# METADATA
# title: Objects have no finalizers
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_finalizers

deny contains {"message": sprintf("%s/%s: remove the finalizers", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	count(object.get(one.object.metadata, "finalizers", [])) > 0
}
