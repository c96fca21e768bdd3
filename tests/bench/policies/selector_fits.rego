# METADATA
# title: Selectors fit the labels
# description: One of fifty as platform teams write them, to measure what they cost.
# custom: {severity: low}
package reeve.selector_fits

deny contains {"message": sprintf("%s/%s: make the selector fit", [one.kind, one.name]), "object": sprintf("%s/%s/%s", [one.kind, one.namespace, one.name])} if {
	some one in input.objects
	one.kind == "Deployment"
	some key, value in one.object.spec.selector.matchLabels
	not has(one.object.spec.template.metadata.labels, key, value)
}

has(labels, key, value) if labels[key] == value
