# METADATA
# title: Images come from allowed registries
# description: >-
#   An image is code that runs with a tenant's rights. parameters.registries holds registries (`registry.example`) and
#   parts of them (`registry.example/acme`) that all may use, spec.registries of a Tenant those that it may use beside them; a
#   name is read as container runtimes read it (`nginx` is `docker.io/library/nginx`), and compared part by part. Volumes of
#   images count. parameters.templates names where other kinds hold a pod template, such as
#   `Rollout.argoproj.io: spec.template`. Where neither names a registry none is allowed.
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
		"message": sprintf("%s: %s has %s; %s", [subject(use.pod.planned), by(use), shown(use.image), remedy]),
		"object": subject(use.pod.planned),
		"path": sprintf("%s.%s[%v].%s", [concat(".", array.concat(use.pod.path, ["spec"])), use.list, use.at, field(use)]),
	}
}

deny contains objection if {
	some i in unjudged
	objection := {
		"message": sprintf("%s: the images of its pods cannot be read; write its pod template as Kubernetes' API has it, and the items of a list one by one", [subject(objects[i])]),
		"object": subject(objects[i]),
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

# Each image is read once, however often it is used, and each repository is looked for once.
allowed := {image |
	among := {one |
		some one in {each | some each in repositories}
		is_allowed(one)
	}
	some image, repository in repositories
	repository in among
}

is_allowed(repository) if {
	some registry in registries
	is_within(repository, registry)
}

# The repository in full of what is an image's name from the first character to the last.
repositories := {image: repository |
	full := {one: repository_of(one) | some one in {each | some each in names}}
	some image, name in names
	repository := full[name]
}

# The tag follows the last part of the path: a port does not.
names := {image: name |
	some image in {use.image | some use in uses}
	is_string(image)
	regex.match(reference, image)
	not regex.match(image_id, image)
	name := regex.replace(split(image, "@")[0], `:[^:/]+$`, "")
}

# Both are the platform's words, so that what either names is allowed.
registries := array.concat(listed, [registry | some registry in declared; not registry in listed])

listed := data.parameters.registries if {
	is_array(data.parameters.registries)
} else := []

declared := input.tenant.registries if {
	is_array(input.tenant.registries)
} else := []

# `registry.example/acme` holds `registry.example/acme/web`, and not `registry.example/acme-evil`.
is_within(repository, registry) if {
	is_string(registry)
	startswith(concat("", [repository, "/"]), concat("", [trim_right(lower(registry), "/"), "/"]))
	registry != ""
}

# Registry and repository in full.
repository_of(name) := concat("/", array.concat([host], path)) if {
	parts := split(name, "/")
	names_host(parts)
	host := canonical(lower(parts[0]))
	path := in_library(host, array.slice(parts, 1, count(parts)))
} else := concat("/", array.concat(["docker.io"], in_library("docker.io", split(name, "/"))))

# Registry (with port), path, tag and digest; nothing else is an image's name.
reference := `^(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::[a-zA-Z0-9_][a-zA-Z0-9_.-]*)?(?:@[a-z][a-z0-9]*(?:[-_+.][a-z][a-z0-9]*)*:[a-fA-F0-9]+)?$`

# An image that lies on the node already, whoever pulled it and from where.
image_id := `^(?:sha(?:256|384|512):[a-fA-F0-9]+|[a-f0-9]{64})$`

names_host(parts) if {
	count(parts) > 1
	is_host(parts[0])
}

# What runtimes take for a host and not for the first part of a path.
is_host(part) if contains(part, ".")

is_host(part) if contains(part, ":")

is_host(part) if part == "localhost"

is_host(part) if lower(part) != part

canonical(host) := "docker.io" if {
	host == "index.docker.io"
} else := host

in_library(host, path) := array.concat(["library"], path) if {
	host == "docker.io"
	count(path) == 1
} else := path

shown(image) := sprintf("image %s, of a registry that is not allowed", [image]) if {
	repositories[image]
} else := sprintf("image %s, which is the ID of an image on some node and names no registry", [image]) if {
	is_string(image)
	regex.match(image_id, image)
} else := sprintf("image %s, which is no image's name", [image]) if {
	is_string(image)
} else := "no image"

remedy := sprintf("take one of %s", [concat(", ", sort(registries))]) if {
	count(registries) > 0
	every registry in registries {
		is_string(registry)
	}
} else := "have the platform team name one in spec.registries of your Tenant or parameters.registries of allowed-registries"

# Everything is judged that is not deleted: it makes no pods, or its pods can be read.
unjudged := {i | some i, _ in objects} - ((deleted | podless) | {pod.index | some pod in pods})

deleted := {i |
	some i, planned in objects
	planned.action == "prune"
}

podless := {i |
	among := podless_kinds
	but := lists_of_objects
	some i, planned in objects
	planned.action == "apply"
	[planned.group, planned.kind] in among
	is_object(planned.object)
	not i in but
}

podless_kinds := {[group, kind] |
	some [group, kind] in {[planned.group, planned.kind] | some planned in objects}
	is_string(group)
	is_string(kind)
	not places[[group, kind]]
}

lists_of_objects := {i |
	some i, planned in objects
	planned.object.items
	is_string(planned.object.kind)
	endswith(planned.object.kind, "List")
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

made := [pod |
	by_kind := places
	some i, planned in objects
	planned.action == "apply"
	path := by_kind[[planned.group, planned.kind]]
	is_object(planned.object)
	spec := object.get(planned.object, array.concat(path, ["spec"]), null)
	is_object(spec)
	pod := {"index": i, "planned": planned, "path": path, "spec": spec}
]

pods := [pod |
	but := odd
	some pod in made
	not pod.index in but
]

# Whose lists are no lists, or hold what is no object.
odd := {pod.index |
	some pod in made
	some list in ["initContainers", "containers", "ephemeralContainers", "volumes"]
	value := pod.spec[list]
	value != null
	not is_array(value)
} | {pod.index |
	some pod in made
	some list in ["initContainers", "containers", "ephemeralContainers", "volumes"]
	item := pod.spec[list][_]
	not is_object(item)
}

# Where an image is used: null is no image.
uses := array.concat(
	[use |
		some pod in pods
		some list in ["initContainers", "containers", "ephemeralContainers"]
		some i
		container := pod.spec[list][i]
		use := {"pod": pod, "list": list, "at": i, "image": object.get(container, "image", null)}
	],
	[use |
		some pod in pods
		some i
		volume := pod.spec.volumes[i]
		volume.image != null
		use := {"pod": pod, "list": "volumes", "at": i, "image": object.get(volume, ["image", "reference"], null)}
	],
)

by(use) := sprintf("volume %s", [name_of(use.pod.spec.volumes[use.at])]) if {
	use.list == "volumes"
} else := sprintf("container %s", [name_of(use.pod.spec[use.list][use.at])])

field(use) := "image.reference" if {
	use.list == "volumes"
} else := "image"

name_of(thing) := thing.name if {
	is_string(thing.name)
} else := "without a name"

subject(planned) := sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]) if {
	is_string(planned.kind)
	is_string(planned.namespace)
	is_string(planned.name)
} else := "an object that cannot be read"
