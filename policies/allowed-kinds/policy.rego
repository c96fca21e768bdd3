# METADATA
# title: A tenant writes only kinds that are allowed
# description: >-
#   What a tenant may deliver is a list: parameters.allowed holds kinds as `ConfigMap`, `Deployment.apps` or, for all of
#   a group, `*.apps`. A kind that nobody thought of is not on it. Without the parameter nothing is allowed.
# custom:
#   severity: medium
#   hint: leave the object out, or ask the platform team to allow its kind
# related_resources:
#   - https://kubernetes.io/docs/reference/using-api/#api-groups
package reeve.allowed_kinds

deny contains objection if {
	some planned in objects
	not is_allowed(planned)
	objection := {
		"message": sprintf("%s would be %s, and kind %s is not allowed: leave it out, or have the platform team add %s to parameters.allowed of allowed-kinds", [subject(planned), deed(planned), kind_of(planned), kind_of(planned)]),
		"object": subject(planned),
	}
}

deny contains objection if {
	not is_readable
	objection := {"message": "the objects of the plan cannot be read, so nothing of it is let through"}
}

is_allowed(planned) if {
	is_string(planned.kind)
	planned.group == ""
	planned.kind in data.parameters.allowed
}

is_allowed(planned) if {
	is_string(planned.kind)
	is_string(planned.group)
	planned.group != ""
	some kind in [planned.kind, "*"]
	concat(".", [kind, planned.group]) in data.parameters.allowed
}

objects := input.objects if {
	is_array(input.objects)
} else := []

is_readable if input.phase == "spec"

is_readable if {
	input.phase == "plan"
	is_array(input.objects)
}

kind_of(planned) := planned.kind if {
	is_string(planned.kind)
	planned.group == ""
} else := concat(".", [planned.kind, planned.group]) if {
	is_string(planned.kind)
	is_string(planned.group)
} else := "?"

subject(planned) := sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]) if {
	is_string(planned.kind)
	is_string(planned.namespace)
	is_string(planned.name)
} else := "an object that cannot be read"

deed(planned) := "deleted" if {
	planned.action == "prune"
} else := "applied"
