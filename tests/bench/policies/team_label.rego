# METADATA
# title: Objects bear their team
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.team_label

deny contains {"message": sprintf("%s/%s: add the label team", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	not one.object.metadata.labels.team
}
