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
	not leaf(pod.it, [field]) in [null, false]
}

deny contains told(pod, sprintf("may not mount a path of the node; take another source for volume %s", [name_of(volume)]), sprintf("volumes[%v].hostPath", [i])) if {
	some pod in pods
	some i, volume in items(pod.it, ["volumes"])
	leaf(volume, ["hostPath"]) != null
}

deny contains told(pod, "may only set safe sysctls; remove the others", sprintf("securityContext.sysctls[%v]", [i])) if {
	some pod in pods
	some i, sysctl in items(pod.it, ["securityContext", "sysctls"])
	not leaf(sysctl, ["name"]) in safe_sysctls
}

deny contains told(pod, "may only have the AppArmor profiles runtime/default and localhost/…; remove the annotation", sprintf("metadata.annotations[%s]", [key])) if {
	some pod in pods
	is_object(pod.annotations)
	some key, profile in pod.annotations
	startswith(key, "container.apparmor.security.beta.kubernetes.io/")
	not is_known_profile(profile)
}

deny contains told(container, "may not be privileged; remove privileged", "securityContext.privileged") if {
	some container in containers
	not leaf(container.it, ["securityContext", "privileged"]) in [null, false]
}

deny contains told(container, "may not add capabilities beyond the default ones; remove them", "securityContext.capabilities.add") if {
	not is_restricted
	some container in containers
	not are_among(leaf(container.it, ["securityContext", "capabilities", "add"]), default_capabilities)
}

deny contains told(container, "may not take a port of the node; remove hostPort", sprintf("ports[%v].hostPort", [i])) if {
	some container in containers
	some i, port in items(container.it, ["ports"])
	not leaf(port, ["hostPort"]) in [null, 0]
}

deny contains told(container, "may not name a host in a probe or a hook; remove it", concat(".", path)) if {
	some container in containers
	some path in hosts
	not leaf(container.it, path) in [null, ""]
}

deny contains told(container, "may not unmask /proc; remove procMount", "securityContext.procMount") if {
	some container in containers
	not may_unmask(container)
	not leaf(container.it, ["securityContext", "procMount"]) in [null, "Default"]
}

deny contains told(part, "may not run as a process of the node; remove hostProcess", "securityContext.windowsOptions.hostProcess") if {
	some part in parts
	not leaf(part.it, ["securityContext", "windowsOptions", "hostProcess"]) in [null, false]
}

deny contains told(part, "may only have the AppArmor profiles RuntimeDefault and Localhost", "securityContext.appArmorProfile.type") if {
	some part in parts
	leaf(part.it, ["securityContext", "appArmorProfile"]) != null
	not leaf(part.it, ["securityContext", "appArmorProfile", "type"]) in ["RuntimeDefault", "Localhost"]
}

deny contains told(part, "may only have the seccomp profiles RuntimeDefault and Localhost", "securityContext.seccompProfile.type") if {
	some part in parts
	leaf(part.it, ["securityContext", "seccompProfile"]) != null
	not leaf(part.it, ["securityContext", "seccompProfile", "type"]) in ["RuntimeDefault", "Localhost"]
}

deny contains told(part, "may not choose an SELinux type beyond the container types; remove it", "securityContext.seLinuxOptions.type") if {
	some part in parts
	not leaf(part.it, ["securityContext", "seLinuxOptions", "type"]) in selinux_types
}

deny contains told(part, "may not choose an SELinux user or role; remove it", sprintf("securityContext.seLinuxOptions.%s", [field])) if {
	some part in parts
	some field in ["user", "role"]
	not leaf(part.it, ["securityContext", "seLinuxOptions", field]) in [null, ""]
}

# Restricted: what a pod does to be hardened.

deny contains told(pod, sprintf("may not have volume %s, of another source than configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected and secret", [name_of(volume)]), sprintf("volumes[%v].%s", [i, source])) if {
	is_restricted
	some pod in pods
	some i, volume in items(pod.it, ["volumes"])
	some source, value in volume
	value != null
	not source in volume_sources
	source != "hostPath"
}

deny contains told(container, "must not gain privileges; set allowPrivilegeEscalation: false", "securityContext.allowPrivilegeEscalation") if {
	is_restricted
	some container in containers
	not is_windows(container.spec)
	not leaf(container.it, ["securityContext", "allowPrivilegeEscalation"]) == false
}

deny contains told(container, "must drop all capabilities; set drop: [ALL]", "securityContext.capabilities.drop") if {
	is_restricted
	some container in containers
	not is_windows(container.spec)
	not drops_all(container.it)
}

deny contains told(container, "may add no capability but NET_BIND_SERVICE; remove the others", "securityContext.capabilities.add") if {
	is_restricted
	some container in containers
	not are_among(leaf(container.it, ["securityContext", "capabilities", "add"]), ["NET_BIND_SERVICE"])
}

deny contains told(pod, "must not run as root; set runAsNonRoot: true", "securityContext.runAsNonRoot") if {
	is_restricted
	some pod in pods
	not has_own_users(pod.it)
	not leaf(pod.it, ["securityContext", "runAsNonRoot"]) in [null, true]
}

deny contains told(container, "must not run as root; set runAsNonRoot: true for it or for the pod", "securityContext.runAsNonRoot") if {
	is_restricted
	some container in containers
	not has_own_users(container.spec)
	not is_not_root(container)
}

deny contains told(part, "must not run as user 0; set runAsUser to another", "securityContext.runAsUser") if {
	is_restricted
	some part in parts
	not has_own_users(part.spec)
	not is_other_user(leaf(part.it, ["securityContext", "runAsUser"]))
}

deny contains told(container, "must have a seccomp profile; set seccompProfile: {type: RuntimeDefault} for it or for the pod", "securityContext.seccompProfile") if {
	is_restricted
	some container in containers
	not is_windows(container.spec)
	leaf(container.it, ["securityContext", "seccompProfile"]) == null
	leaf(container.spec, ["securityContext", "seccompProfile"]) == null
}

# What cannot be judged.

deny contains objection if {
	some planned in objects
	not is_judged(planned)
	objection := {
		"message": sprintf("%s: the pods that it makes cannot be read; write its pod template as Kubernetes' API has it, and the items of a list one by one", [subject(planned)]),
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
		"name": "the pod",
		"at": concat(".", array.concat(path, ["spec"])),
		"annotations": leaf(template, ["metadata", "annotations"]),
		"spec": template.spec,
		"it": template.spec,
	}
]

containers := [container |
	some pod in pods
	some list in lists
	some i, it in items(pod.it, [list])
	container := {
		"subject": pod.subject,
		"name": sprintf("container %s", [name_of(it)]),
		"at": sprintf("%s.%s[%v]", [pod.at, list, i]),
		"spec": pod.spec,
		"it": it,
	}
]

parts := array.concat(pods, containers)

told(part, what, path) := {
	"message": sprintf("%s: %s %s", [part.subject, part.name, what]),
	"object": part.subject,
	"path": sprintf("%s.%s", [part.at, path]),
}

name_of(thing) := thing.name if {
	is_string(thing.name)
} else := "without a name"

subject(planned) := sprintf("%s/%s/%s", [planned.kind, planned.namespace, planned.name]) if {
	is_string(planned.kind)
	is_string(planned.namespace)
	is_string(planned.name)
} else := "an object that cannot be read"

# What is there, null where nothing is.
leaf(thing, path) := object.get(thing, path, null)

items(thing, path) := found if {
	found := leaf(thing, path)
	is_array(found)
} else := []

# Every field that is looked into holds an object, every list that is walked a list of objects.
is_pod(template) if {
	is_object(template.spec)
	is_object_or_nothing(leaf(template, ["metadata"]))
	is_object_or_nothing(leaf(template, ["metadata", "annotations"]))
	are_objects_or_nothing(template.spec, pod_objects)
	every path in [["initContainers"], ["containers"], ["ephemeralContainers"], ["volumes"], ["securityContext", "sysctls"]] {
		is_list_or_nothing(leaf(template.spec, path))
	}
	every list in lists {
		every container in items(template.spec, [list]) {
			are_objects_or_nothing(container, container_objects)
			is_list_or_nothing(leaf(container, ["ports"]))
		}
	}
}

are_objects_or_nothing(thing, paths) if {
	every path in paths {
		is_object_or_nothing(leaf(thing, path))
	}
}

is_object_or_nothing(value) if value == null

is_object_or_nothing(value) if is_object(value)

is_list_or_nothing(value) if value == null

is_list_or_nothing(value) if {
	is_array(value)
	every item in value {
		is_object(item)
	}
}

lists := ["initContainers", "containers", "ephemeralContainers"]

contexts := [
	["securityContext"],
	["securityContext", "appArmorProfile"],
	["securityContext", "seLinuxOptions"],
	["securityContext", "seccompProfile"],
	["securityContext", "windowsOptions"],
]

pod_objects := array.concat(contexts, [["os"]])

# With what holds each of `hosts`, step by step.
container_objects := array.concat(
	array.concat(contexts, [["securityContext", "capabilities"]]),
	[path |
		some host in hosts
		some length in numbers.range(1, 3)
		length < count(host)
		path := array.slice(host, 0, length)
	],
)

hosts := array.concat(
	[[probe, way, "host"] |
		some probe in ["livenessProbe", "readinessProbe", "startupProbe"]
		some way in ["httpGet", "tcpSocket"]
	],
	[["lifecycle", hook, way, "host"] |
		some hook in ["postStart", "preStop"]
		some way in ["httpGet", "tcpSocket"]
	],
)

# The rules' conditions.
is_restricted if not data.parameters.level == "baseline"

is_windows(spec) if spec.os.name == "windows"

has_own_users(spec) if spec.hostUsers == false

may_unmask(container) if {
	not is_restricted
	has_own_users(container.spec)
}

is_not_root(container) if leaf(container.it, ["securityContext", "runAsNonRoot"]) == true

is_not_root(container) if {
	leaf(container.it, ["securityContext", "runAsNonRoot"]) == null
	leaf(container.spec, ["securityContext", "runAsNonRoot"]) == true
}

is_other_user(user) if user == null

is_other_user(user) if {
	is_number(user)
	user != 0
}

drops_all(container) if "ALL" in items(container, ["securityContext", "capabilities", "drop"])

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
