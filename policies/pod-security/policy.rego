# METADATA
# title: Pods keep to the Pod Security Standards
# description: >-
#   The checks of Kubernetes' Pod Security Standards v1.36 for Pods and for every kind that makes them, so that a tenant
#   reads at once what the namespace's admission would tell a ReplicaSet's events later. parameters.level is restricted
#   (also when it is missing) or baseline. parameters.templates names where other kinds hold a pod template, such as
#   `Rollout.argoproj.io: spec.template`.
# custom:
#   severity: critical
#   hint: set what is asked for in the pod's or the container's securityContext
# related_resources:
#   - https://kubernetes.io/docs/concepts/security/pod-security-standards/
package reeve.pod_security

# Baseline: what no tenant's pod may ever do.

deny contains told(pod, sprintf("may not share a namespace of the node; remove %s", [field]), field) if {
	some pod in pods
	some field in ["hostNetwork", "hostPID", "hostIPC"]
	value := pod.it[field]
	not value in [null, false]
}

deny contains told(pod, sprintf("may not mount a path of the node; take another source for volume %s", [name_of(pod.it.volumes[i])]), sprintf("volumes[%v].hostPath", [i])) if {
	some pod in pods
	some i
	pod.it.volumes[i].hostPath != null
}

deny contains told(pod, "may only set safe sysctls; remove the others", sprintf("securityContext.sysctls[%v]", [i])) if {
	some pod in pods
	some i
	sysctl := pod.it.securityContext.sysctls[i]
	not object.get(sysctl, "name", null) in safe_sysctls
}

deny contains told(pod, "may only have the AppArmor profiles runtime/default and localhost/…; remove the annotation", sprintf("metadata.annotations[%s]", [key])) if {
	some pod in pods
	some key
	profile := pod.template.metadata.annotations[key]
	startswith(key, "container.apparmor.security.beta.kubernetes.io/")
	not is_known_profile(profile)
}

deny contains told(container, "may not be privileged; remove privileged", "securityContext.privileged") if {
	bad := {context |
		some [context, _] in settings
		value := context.privileged
		not value in [null, false]
	}
	some container in containers_with(bad)
}

deny contains told(container, "may not add capabilities beyond the default ones; remove them", "securityContext.capabilities.add") if {
	not is_restricted
	bad := {context |
		some [context, _] in settings
		given := context.capabilities.add
		not are_among(given, default_capabilities)
	}
	some container in containers_with(bad)
}

deny contains told(container, "may not take a port of the node; remove hostPort", sprintf("ports[%v].hostPort", [i])) if {
	some container in containers
	some i
	value := container.it.ports[i].hostPort
	not value in [null, 0]
}

deny contains told(container, "may not name a host in a probe; remove it", sprintf("%s.%s.host", [probe, way])) if {
	some seen in probes_seen
	some way in ways
	host := seen[way].host
	not host in [null, ""]
	some container in containers
	some probe in probes
	container.it[probe] == seen
}

deny contains told(container, "may not name a host in a hook; remove it", sprintf("lifecycle.%s.%s.host", [hook, way])) if {
	some seen in lifecycles_seen
	some hook in hooks
	some way in ways
	host := seen[hook][way].host
	not host in [null, ""]
	some container in containers
	container.it.lifecycle == seen
}

deny contains told(container, "may not unmask /proc; remove procMount", "securityContext.procMount") if {
	bad := {context |
		some [context, _] in settings
		value := context.procMount
		not value in [null, "Default"]
	}
	some container in containers_with(bad)
	not may_unmask(container.pod.it)
}

deny contains told(part, "may not run as a process of the node; remove hostProcess", "securityContext.windowsOptions.hostProcess") if {
	bad := {context |
		some context in contexts
		value := context.windowsOptions.hostProcess
		not value in [null, false]
	}
	some part in parts_with(bad)
}

deny contains told(part, "may only have the AppArmor profiles RuntimeDefault and Localhost", "securityContext.appArmorProfile.type") if {
	bad := {context |
		some context in contexts
		context.appArmorProfile != null
		not is_known(context.appArmorProfile)
	}
	some part in parts_with(bad)
}

deny contains told(part, "may only have the seccomp profiles RuntimeDefault and Localhost", "securityContext.seccompProfile.type") if {
	bad := {context |
		some context in contexts
		context.seccompProfile != null
		not is_known(context.seccompProfile)
	}
	some part in parts_with(bad)
}

deny contains told(part, "may not choose an SELinux type beyond the container types; remove it", "securityContext.seLinuxOptions.type") if {
	bad := {context |
		some context in contexts
		value := context.seLinuxOptions.type
		not value in selinux_types
	}
	some part in parts_with(bad)
}

deny contains told(part, "may not choose an SELinux user or role; remove it", sprintf("securityContext.seLinuxOptions.%s", [field])) if {
	some field in ["user", "role"]
	bad := {context |
		some context in contexts
		value := context.seLinuxOptions[field]
		not value in [null, ""]
	}
	some part in parts_with(bad)
}

# Restricted: what a pod does to be hardened.

deny contains told(pod, sprintf("may not have volume %s, of another source than configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected and secret", [name_of(pod.it.volumes[i])]), sprintf("volumes[%v].%s", [i, source])) if {
	is_restricted
	some pod in pods
	some i, source
	value := pod.it.volumes[i][source]
	value != null
	not source in volume_sources
	source != "hostPath"
}

deny contains told(container, "must not gain privileges; set allowPrivilegeEscalation: false", "securityContext.allowPrivilegeEscalation") if {
	is_restricted
	bad := {context |
		some [context, _] in settings
		not context.allowPrivilegeEscalation == false
	}
	some container in containers_with(bad)
	not is_windows(container.pod.it)
}

deny contains told(container, "must drop all capabilities; set drop: [ALL]", "securityContext.capabilities.drop") if {
	is_restricted
	bad := {context |
		some [context, _] in settings
		not drops_all(context)
	}
	some container in containers_with(bad)
	not is_windows(container.pod.it)
}

deny contains told(container, "may add no capability but NET_BIND_SERVICE; remove the others", "securityContext.capabilities.add") if {
	is_restricted
	bad := {context |
		some [context, _] in settings
		given := context.capabilities.add
		not are_among(given, ["NET_BIND_SERVICE"])
	}
	some container in containers_with(bad)
}

deny contains told(pod, "must not run as root; set runAsNonRoot: true", "securityContext.runAsNonRoot") if {
	is_restricted
	some pod in pods
	value := pod.context.runAsNonRoot
	not value in [null, true]
	not has_own_users(pod.it)
}

deny contains told(container, "must not run as root; set runAsNonRoot: true for it or for the pod", "securityContext.runAsNonRoot") if {
	is_restricted
	bad := {[context, of_pod] |
		some [context, of_pod] in settings
		not context.runAsNonRoot == true
		not is_not_root(context, of_pod)
	}
	some container in containers_so_set(bad)
	not has_own_users(container.pod.it)
}

deny contains told(part, "must not run as user 0; set runAsUser to another", "securityContext.runAsUser") if {
	is_restricted
	bad := {context |
		some context in contexts
		user := context.runAsUser
		not is_other_user(user)
	}
	some part in parts_with(bad)
	not has_own_users(pod_of(part).it)
}

deny contains told(container, "must have a seccomp profile; set seccompProfile: {type: RuntimeDefault} for it or for the pod", "securityContext.seccompProfile") if {
	is_restricted
	bad := {[context, of_pod] |
		some [context, of_pod] in settings
		not has_profile(of_pod)
		not has_profile(context)
	}
	some container in containers_so_set(bad)
	not is_windows(container.pod.it)
}

# What cannot be judged.

deny contains objection if {
	some i in unjudged
	objection := {
		"message": sprintf("%s: the pods that it makes cannot be read; write its pod template as Kubernetes' API has it, and the items of a list one by one", [subject(objects[i])]),
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

# What makes pods, and the pods that it makes. Here and below, what is the same for all objects is looked up once, before
# they are walked, and what is in many of them (a context, a probe) is looked at once for all: that is what makes the
# policy fast.
made := [pod |
	by_kind := places
	some i, planned in objects
	planned.action == "apply"
	path := by_kind[[planned.group, planned.kind]]
	is_object(planned.object)
	template := object.get(planned.object, path, null)
	is_object(template.spec)
	pod := {
		"index": i,
		"planned": planned,
		"path": path,
		"template": template,
		"it": template.spec,
		"context": object.get(template.spec, "securityContext", null),
	}
]

held := [container |
	some pod in made
	some list in ["initContainers", "containers", "ephemeralContainers"]
	some i
	it := pod.it[list][i]
	context := object.get(pod.it, [list, i, "securityContext"], null)
	container := {
		"pod": pod,
		"list": list,
		"at": i,
		"it": it,
		"context": context,
		"setting": [context, pod.context],
	}
]

pods := [pod |
	but := odd
	some pod in made
	not pod.index in but
]

containers := [container |
	but := odd
	some container in held
	not container.pod.index in but
]

parts := array.concat(pods, containers)

# What is set, each once: of all parts, and of containers beside their pods'.
contexts := {part.context | some part in parts}

settings := {container.setting | some container in containers}

probes_seen := ({container.it.livenessProbe | some container in held} | {container.it.readinessProbe | some container in held}) | {container.it.startupProbe | some container in held}

lifecycles_seen := {container.it.lifecycle | some container in held}

# Those that have one of the contexts. Each is looked at once, and none where there is no such context.
containers_with(bad) := [] if {
	count(bad) == 0
} else := [container |
	some container in containers
	container.context in bad
]

containers_so_set(bad) := [] if {
	count(bad) == 0
} else := [container |
	some container in containers
	container.setting in bad
]

parts_with(bad) := [] if {
	count(bad) == 0
} else := [part |
	some part in parts
	part.context in bad
]

pod_of(part) := part.pod if {
	part.pod
} else := part

told(part, what, path) := {
	"message": sprintf("%s: %s %s", [subject(pod_of(part).planned), called(part), what]),
	"object": subject(pod_of(part).planned),
	"path": sprintf("%s%s.%s", [concat(".", array.concat(pod_of(part).path, ["spec"])), place(part), path]),
}

called(part) := sprintf("container %s", [name_of(part.it)]) if {
	part.list
} else := "the pod"

place(part) := sprintf(".%s[%v]", [part.list, part.at]) if {
	part.list
} else := ""

name_of(thing) := thing.name if {
	is_string(thing.name)
} else := "without a name"

subject(planned) := sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]) if {
	is_string(planned.kind)
	is_string(planned.namespace)
	is_string(planned.name)
} else := "an object that cannot be read"

# The indices of pods that cannot be read: every field that is looked into holds an object, every list that is walked a
# list of objects. A field that is not there is not looked into, and one that is null is nothing.
odd := (odd_fields | odd_lists) | (odd_contexts | odd_containers)

odd_fields := {pod.index |
	some pod in made
	value := pod.template.metadata
	value != null
	not is_object(value)
} | ({pod.index |
	some pod in made
	value := pod.template.metadata.annotations
	value != null
	not is_object(value)
} | {pod.index |
	some pod in made
	value := pod.it.os
	value != null
	not is_object(value)
})

odd_lists := {pod.index |
	some pod in made
	some list in ["initContainers", "containers", "ephemeralContainers", "volumes"]
	value := pod.it[list]
	value != null
	not is_array(value)
} | ({pod.index |
	some pod in made
	volume := pod.it.volumes[_]
	not is_object(volume)
} | {container.pod.index |
	some container in held
	not is_object(container.it)
})

odd_contexts := {pod_of(part).index |
	bad := {context |
		some context in ({pod.context | some pod in made} | {container.context | some container in held})
		is_odd_context(context)
	}
	count(bad) > 0
	some part in array.concat(made, held)
	part.context in bad
} | {pod.index |
	some pod in made
	is_odd_list(pod.context.sysctls)
}

odd_containers := {container.pod.index |
	bad := {ports | some ports in {container.it.ports | some container in held}; is_odd_list(ports)}
	count(bad) > 0
	some container in held
	container.it.ports in bad
} | ({container.pod.index |
	bad := {seen | some seen in probes_seen; is_odd_probe(seen)}
	count(bad) > 0
	some container in held
	some probe in probes
	container.it[probe] in bad
} | {container.pod.index |
	bad := {seen | some seen in lifecycles_seen; is_odd_lifecycle(seen)}
	count(bad) > 0
	some container in held
	container.it.lifecycle in bad
})

is_odd_context(context) if is_odd(context)

is_odd_context(context) if {
	some field in ["appArmorProfile", "capabilities", "seLinuxOptions", "seccompProfile", "windowsOptions"]
	is_odd(context[field])
}

is_odd_probe(probe) if is_odd(probe)

is_odd_probe(probe) if {
	some way in ways
	is_odd(probe[way])
}

is_odd_lifecycle(lifecycle) if is_odd(lifecycle)

is_odd_lifecycle(lifecycle) if {
	some hook in hooks
	is_odd_probe(lifecycle[hook])
}

is_odd(value) if {
	value != null
	not is_object(value)
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

probes := ["livenessProbe", "readinessProbe", "startupProbe"]

hooks := ["postStart", "preStop"]

ways := ["httpGet", "tcpSocket"]

# The rules' conditions.
is_restricted if not data.parameters.level == "baseline"

is_windows(spec) if spec.os.name == "windows"

has_own_users(spec) if spec.hostUsers == false

may_unmask(spec) if {
	not is_restricted
	has_own_users(spec)
}

is_not_root(context, of_pod) if {
	of_pod.runAsNonRoot == true
	not context.runAsNonRoot
	not context.runAsNonRoot == false
}

has_profile(context) if context.seccompProfile != null

drops_all(context) if "ALL" in context.capabilities.drop

is_other_user(user) if user == null

is_other_user(user) if {
	is_number(user)
	user != 0
}

# Of seccomp and AppArmor.
is_known(profile) if profile.type in ["RuntimeDefault", "Localhost"]

are_among(given, _) if given == null

are_among(given, allowed) if {
	is_array(given)
	every one in given {
		one in allowed
	}
}

is_known_profile(profile) if profile in ["", "runtime/default"]

is_known_profile(profile) if {
	is_string(profile)
	startswith(profile, "localhost/")
}

safe_sysctls := [
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.ip_local_reserved_ports",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ping_group_range",
	"net.ipv4.tcp_fin_timeout",
	"net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes",
	"net.ipv4.tcp_keepalive_time",
	"net.ipv4.tcp_rmem",
	"net.ipv4.tcp_syncookies",
	"net.ipv4.tcp_wmem",
]

default_capabilities := [
	"AUDIT_WRITE",
	"CHOWN",
	"DAC_OVERRIDE",
	"FOWNER",
	"FSETID",
	"KILL",
	"MKNOD",
	"NET_BIND_SERVICE",
	"SETFCAP",
	"SETGID",
	"SETPCAP",
	"SETUID",
	"SYS_CHROOT",
]

selinux_types := [null, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"]

volume_sources := [
	"name",
	"configMap",
	"csi",
	"downwardAPI",
	"emptyDir",
	"ephemeral",
	"image",
	"persistentVolumeClaim",
	"projected",
	"secret",
]
