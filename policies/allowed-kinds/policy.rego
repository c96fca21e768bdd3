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
	some i in ({n | some n, _ in objects} - listed)
	planned := objects[i]
	objection := {
		"message": sprintf("%s would be %s, and kind %s is not allowed: leave it out, or have the platform team add %s to parameters.allowed of allowed-kinds", [subject(planned), deed(planned), kind_of(planned), kind_of(planned)]),
		"object": subject(planned),
	}
}

deny contains objection if {
	not is_readable
	objection := {"message": "the objects of the plan cannot be read, so nothing of it is let through"}
}

# Each kind is looked up once, however many objects are of it.
listed := {i |
	allowed := {[group, kind] |
		some [group, kind] in {[planned.group, planned.kind] | some planned in objects}
		is_allowed(group, kind)
	}
	some i, planned in objects
	[planned.group, planned.kind] in allowed
}

is_allowed("", kind) if {
	is_string(kind)
	kind in data.parameters.allowed
}

is_allowed(group, kind) if {
	is_string(kind)
	is_string(group)
	group != ""
	some wanted in [kind, "*"]
	concat(".", [wanted, group]) in data.parameters.allowed
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
