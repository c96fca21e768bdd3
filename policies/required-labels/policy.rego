# METADATA
# title: Every object bears the labels that the platform counts by
# description: >-
#   Costs, owners and alerts are told apart by labels. parameters.labels holds, by the label's name, the regular
#   expression that its whole value must match; "" takes every value but the empty one. With parameters.kinds
#   (`Deployment.apps`) only these kinds are asked. Without parameters.labels nothing is let through.
# custom:
#   severity: low
#   hint: add the label in git, for all objects at once with spec.commonMetadata.labels or the labels of a kustomization
# related_resources:
#   - https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
package reeve.required_labels

deny contains objection if {
	some label, pattern in labels
	some i in (asked - bearing[label])
	planned := objects[i]
	objection := {
		"message": sprintf("%s: label %s %s; %s", [subject(planned), label, fault(planned, label), demand(pattern)]),
		"object": subject(planned),
		"path": sprintf("metadata.labels[%s]", [label]),
	}
}

deny contains objection if {
	not is_readable
	objection := {"message": "the objects of the plan cannot be read, so nothing of it is let through"}
}

deny contains objection if {
	input.phase == "plan"
	not is_set_up
	objection := {"message": "required-labels is in force without labels: have the platform team set parameters.labels, a pattern by label"}
}

labels := data.parameters.labels if {
	is_object(data.parameters.labels)
} else := {}

is_set_up if {
	is_object(data.parameters.labels)
	every pattern in data.parameters.labels {
		is_string(pattern)
	}
}

# What is only deleted bears what it bears.
asked := {i |
	some i, planned in objects
	not planned.action == "prune"
} - exempt

exempt := {i |
	is_array(data.parameters.kinds)
	some i, planned in objects
	is_string(planned.kind)
	is_string(planned.group)
	not kind_of(planned) in data.parameters.kinds
}

# Which objects bear a label as its pattern wants it: each value is looked at once, however many objects have it.
bearing := {label: bearers |
	some label, pattern in labels
	fitting := {value |
		some value in {found | found := objects[_].object.metadata.labels[label]}
		fits(value, pattern)
	}
	bearers := {i |
		some i, planned in objects
		planned.object.metadata.labels[label] in fitting
	}
}

fits(value, "") if {
	is_string(value)
	value != ""
}

fits(value, pattern) if {
	is_string(pattern)
	pattern != ""
	is_string(value)
	regex.match(sprintf(`^(?:%s)$`, [pattern]), value)
}

fault(planned, label) := sprintf("is %s", [planned.object.metadata.labels[label]]) if {
	is_string(planned.object.metadata.labels[label])
	planned.object.metadata.labels[label] != ""
} else := "is missing"

demand(pattern) := "add it" if {
	pattern == ""
} else := sprintf("give it a value that matches %s", [pattern]) if {
	is_string(pattern)
} else := "ask the platform team for its pattern"

objects := input.objects if {
	is_array(input.objects)
} else := []

is_readable if input.phase == "spec"

is_readable if {
	input.phase == "plan"
	is_array(input.objects)
}

kind_of(planned) := planned.kind if {
	planned.group == ""
} else := concat(".", [planned.kind, planned.group])

subject(planned) := sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]) if {
	is_string(planned.kind)
	is_string(planned.namespace)
	is_string(planned.name)
} else := "an object that cannot be read"
