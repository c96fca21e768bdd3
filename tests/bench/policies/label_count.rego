# METADATA
# title: Objects have few labels
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.label_count

deny contains {"message": sprintf("%s/%s: remove labels", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	count(one.object.metadata.labels) > 20
}
