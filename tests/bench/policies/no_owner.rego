# METADATA
# title: Objects have no owners
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.no_owner

deny contains {"message": sprintf("%s/%s: remove the owners", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.object.metadata.ownerReferences
}
