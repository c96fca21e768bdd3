# METADATA
# title: Images come from allowed registries
# description: >-
#   An image is code that runs with a tenant's rights. parameters.registries holds registries (`registry.example`) and
#   parts of them (`registry.example/acme`); a name is read as container runtimes read it (`nginx` is
#   `docker.io/library/nginx`), and compared part by part. Volumes of images count. parameters.templates names where other
#   kinds hold a pod template, such as `Rollout.argoproj.io: spec.template`. Without parameters.registries none is allowed.
# custom:
#   severity: high
#   hint: push the image to an allowed registry and name it there, or ask the platform team to allow this one
# related_resources:
#   - https://kubernetes.io/docs/concepts/containers/images/#image-names
package reeve.allowed_registries

deny contains objection if {
	some pod in pods
	some list in ["initContainers", "containers", "ephemeralContainers"]
	some i, container in items(pod.spec, list)
	not is_allowed(object.get(container, "image", null))
	objection := told(pod, sprintf("container %s", [name_of(container)]), object.get(container, "image", null), sprintf("%s[%v].image", [list, i]))
}

deny contains objection if {
	some pod in pods
	some i, volume in items(pod.spec, "volumes")
	object.get(volume, "image", null) != null
	not is_allowed(object.get(volume, ["image", "reference"], null))
	objection := told(pod, sprintf("volume %s", [name_of(volume)]), object.get(volume, ["image", "reference"], null), sprintf("volumes[%v].image.reference", [i]))
}

deny contains objection if {
	some planned in objects
	not is_judged(planned)
	objection := {
		"message": sprintf("%s: the images of its pods cannot be read; write its pod template as Kubernetes' API has it, and the items of a list one by one", [subject(planned)]),
		"object": subject(planned),
	}
}

deny contains objection if {
	not is_readable
	objection := {"message": "the objects of the plan cannot be read, so nothing of it is let through"}
}

objects := input.objects if {
	is_array(input.objects)
} else := []

is_readable if input.phase == "spec"

is_readable if {
	input.phase == "plan"
	is_array(input.objects)
}

is_allowed(image) if {
	repository := repository_of(image)
	some registry in registries
	is_within(repository, registry)
}

registries := data.parameters.registries if {
	is_array(data.parameters.registries)
} else := []

# `registry.example/acme` holds `registry.example/acme/web`, and not `registry.example/acme-evil`.
is_within(repository, registry) if {
	is_string(registry)
	startswith(concat("", [repository, "/"]), concat("", [trim_right(lower(registry), "/"), "/"]))
	registry != ""
}

# Registry and repository in full, of what is an image's name from the first character to the last.
repository_of(image) := concat("/", array.concat([host], path)) if {
	is_string(image)
	regex.match(reference, image)
	parts := split(without_tag(image), "/")
	count(parts) > 1
	is_host(parts[0])
	host := canonical(lower(parts[0]))
	path := in_library(host, array.slice(parts, 1, count(parts)))
}

repository_of(image) := concat("/", array.concat(["docker.io"], in_library("docker.io", parts))) if {
	is_string(image)
	regex.match(reference, image)
	parts := split(without_tag(image), "/")
	not names_host(parts)
}

# Registry (with port), path, tag and digest; nothing else is an image's name.
reference := `^(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::[a-zA-Z0-9_][a-zA-Z0-9_.-]*)?(?:@[a-z][a-z0-9]*(?:[-_+.][a-z][a-z0-9]*)*:[a-fA-F0-9]+)?$`

names_host(parts) if {
	count(parts) > 1
	is_host(parts[0])
}

# What runtimes take for a host and not for the first part of a path.
is_host(part) if contains(part, ".")

is_host(part) if contains(part, ":")

is_host(part) if part == "localhost"

is_host(part) if lower(part) != part

# The tag follows the last part of the path: a port does not.
without_tag(image) := regex.replace(split(image, "@")[0], `:[^:/]+$`, "")

canonical(host) := "docker.io" if {
	host == "index.docker.io"
} else := host

in_library(host, path) := array.concat(["library"], path) if {
	host == "docker.io"
	count(path) == 1
} else := path

told(pod, what, image, path) := {
	"message": sprintf("%s: %s has %s; %s", [pod.subject, what, shown(image), remedy]),
	"object": pod.subject,
	"path": sprintf("%s.%s", [pod.at, path]),
}

shown(image) := sprintf("image %s, of a registry that is not allowed", [image]) if {
	repository_of(image)
} else := sprintf("image %s, which is no image's name", [image]) if {
	is_string(image)
} else := "no image"

remedy := sprintf("take one of %s", [concat(", ", sort(registries))]) if {
	count(registries) > 0
	every registry in registries {
		is_string(registry)
	}
} else := "have the platform team set parameters.registries of allowed-registries"

# Everything is judged that is not deleted: it makes no pods, or its pods can be read.
is_judged(planned) if planned.action == "prune"

is_judged(planned) if {
	planned.action == "apply"
	is_string(planned.group)
	is_string(planned.kind)
	is_object(planned.object)
	not template_of(planned)
	not is_list(planned.object)
}

is_judged(planned) if {
	planned.action == "apply"
	is_object(planned.object)
	is_pod(object.get(planned.object, template_of(planned), null))
}

is_list(object) if {
	is_string(object.kind)
	endswith(object.kind, "List")
	object.items
}

# Where a kind holds its pod template.
templates := {
	"": {"Pod": [], "PodTemplate": ["template"], "ReplicationController": ["spec", "template"]},
	"apps": {
		"DaemonSet": ["spec", "template"],
		"Deployment": ["spec", "template"],
		"ReplicaSet": ["spec", "template"],
		"StatefulSet": ["spec", "template"],
	},
	"batch": {
		"CronJob": ["spec", "jobTemplate", "spec", "template"],
		"Job": ["spec", "template"],
	},
}

template_of(planned) := templates[planned.group][planned.kind]

template_of(planned) := steps(data.parameters.templates[concat(".", [planned.kind, planned.group])]) if {
	is_string(planned.kind)
	is_string(planned.group)
	not templates[planned.group]
}

# A path that is no text leads nowhere: the pods cannot be read.
steps(path) := split(path, ".") if {
	is_string(path)
} else := ["?"]

pods := [pod |
	some planned in objects
	planned.action == "apply"
	is_object(planned.object)
	path := template_of(planned)
	template := object.get(planned.object, path, null)
	is_pod(template)
	pod := {
		"subject": subject(planned),
		"at": concat(".", array.concat(path, ["spec"])),
		"spec": template.spec,
	}
]

is_pod(template) if {
	is_object(template.spec)
	every list in ["initContainers", "containers", "ephemeralContainers", "volumes"] {
		is_list_or_nothing(object.get(template.spec, list, null))
	}
}

is_list_or_nothing(value) if value == null

is_list_or_nothing(value) if {
	is_array(value)
	every item in value {
		is_object(item)
	}
}

items(spec, list) := found if {
	found := object.get(spec, list, null)
	is_array(found)
} else := []

name_of(thing) := thing.name if {
	is_string(thing.name)
} else := "without a name"

subject(planned) := sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]) if {
	is_string(planned.kind)
	is_string(planned.namespace)
	is_string(planned.name)
} else := "an object that cannot be read"
