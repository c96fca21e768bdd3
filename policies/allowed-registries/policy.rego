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
	some use in uses
	not use.image in allowed
	objection := {
		"message": sprintf("%s: %s has %s; %s", [use.subject, use.by, shown(use.image), remedy]),
		"object": use.subject,
		"path": use.path,
	}
}

deny contains objection if {
	some i, planned in objects
	not i in judged
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

# Each image is read once, however often it is used.
allowed := {image |
	some image in {use.image | some use in uses}
	is_allowed(image)
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
judged contains i if {
	some i, planned in objects
	planned.action == "prune"
}

judged contains i if {
	some i, planned in objects
	planned.action == "apply"
	is_string(planned.group)
	is_string(planned.kind)
	is_object(planned.object)
	not places[[planned.group, planned.kind]]
	not is_list(planned.object)
}

judged contains pod.index if some pod in pods

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

# The same by group and kind, with the kinds that the platform names: a path that is no text leads nowhere, so their pods
# cannot be read.
places := object.union(
	{[group, kind]: path |
		is_object(data.parameters.templates)
		some name, dotted in data.parameters.templates
		kind := substring(name, 0, indexof(name, "."))
		group := substring(name, indexof(name, ".") + 1, -1)
		path := steps(dotted)
	},
	{[group, kind]: path |
		some group, kinds in templates
		some kind, path in kinds
	},
)

steps(path) := split(path, ".") if {
	is_string(path)
} else := ["?"]

pods := [pod |
	some i, planned in objects
	planned.action == "apply"
	path := places[[planned.group, planned.kind]]
	is_object(planned.object)
	template := object.get(planned.object, path, null)
	is_pod(template)
	pod := {
		"index": i,
		"subject": subject(planned),
		"at": concat(".", array.concat(path, ["spec"])),
		"spec": template.spec,
	}
]

is_pod(template) if {
	is_object(template.spec)
	not has_odd_list(template.spec)
}

has_odd_list(spec) if {
	some list in ["initContainers", "containers", "ephemeralContainers", "volumes"]
	is_odd_list(spec[list])
}

is_odd_list(value) if {
	value != null
	not is_array(value)
}

is_odd_list(value) if {
	is_array(value)
	some item in value
	not is_object(item)
}

# Where an image is used: null is no image.
uses contains use if {
	some pod in pods
	some list in ["initContainers", "containers", "ephemeralContainers"]
	is_array(pod.spec[list])
	some i, container in pod.spec[list]
	use := {
		"subject": pod.subject,
		"by": sprintf("container %s", [name_of(container)]),
		"path": sprintf("%s.%s[%v].image", [pod.at, list, i]),
		"image": object.get(container, "image", null),
	}
}

uses contains use if {
	some pod in pods
	is_array(pod.spec.volumes)
	some i, volume in pod.spec.volumes
	volume.image != null
	use := {
		"subject": pod.subject,
		"by": sprintf("volume %s", [name_of(volume)]),
		"path": sprintf("%s.volumes[%v].image.reference", [pod.at, i]),
		"image": object.get(volume, ["image", "reference"], null),
	}
}

name_of(thing) := thing.name if {
	is_string(thing.name)
} else := "without a name"

subject(planned) := sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]) if {
	is_string(planned.kind)
	is_string(planned.namespace)
	is_string(planned.name)
} else := "an object that cannot be read"
