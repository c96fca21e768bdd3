# METADATA
# title: Names are of small letters
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.name_pattern

deny contains {"message": sprintf("%s/%s: take another name", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	not regex.match(`^[a-z0-9-]+$`, one.name)
}
