# METADATA
# title: Names have at most 40 characters
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.name_length

deny contains {"message": sprintf("%s/%s: take a shorter name", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	count(one.name) > 40
}
