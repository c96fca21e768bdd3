# METADATA
# title: Objects bear four digits
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.cost_label

deny contains {"message": sprintf("%s/%s: add the label cost-centre", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	not regex.match(`^[0-9]{4}$`, one.object.metadata.labels["cost-centre"])
}
