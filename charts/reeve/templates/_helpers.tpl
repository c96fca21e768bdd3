{{/* What everything of it is called. */}}
{{- define "reeve.name" -}}
{{ .Values.fullnameOverride | default "reeve" }}
{{- end }}

{{- define "reeve.account" -}}
{{ .Values.serviceAccount.name | default (include "reeve.name" .) }}
{{- end }}

{{/* What picks the pods; it must never change. */}}
{{- define "reeve.selector" -}}
app.kubernetes.io/name: {{ include "reeve.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "reeve.labels" -}}
{{ include "reeve.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "reeve.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* Namespaces of the platform, that of the release among them, as a JSON list. */}}
{{- define "reeve.platform" -}}
{{ append .Values.platformNamespaces .Release.Namespace | uniq | sortAlpha | toJson }}
{{- end }}

{{/* Those and the ones with tenants' sources: where its own Secrets lie. */}}
{{- define "reeve.grounds" -}}
{{ concat (include "reeve.platform" . | fromJsonArray) .Values.configNamespaces | uniq | sortAlpha | toJson }}
{{- end }}

{{/* Who is bound. */}}
{{- define "reeve.subject" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "reeve.account" . }}
    namespace: {{ .Release.Namespace }}
{{- end }}

{{/* Whether API servers have the kind by which accounts are fenced (a ValidatingAdmissionPolicy of v1): not empty. */}}
{{- define "reeve.fences" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}yes{{ end }}
{{- end }}

{{/* Whether the API server asks reeve about its kinds: not empty. Its webhook is reeve's to change, and so there is none that
nothing fences. */}}
{{- define "reeve.admission" -}}
{{- if and .Values.admission.enabled (include "reeve.fences" .) }}yes{{ end }}
{{- end }}

{{/* Whether there is a landlord: not empty. What nothing fences there is none of. */}}
{{- define "reeve.landlord" -}}
{{- if and .Values.landlord.enabled (include "reeve.fences" .) }}yes{{ end }}
{{- end }}

{{/* What picks its pods, which are none of reeve's. */}}
{{- define "reeve.landlord.selector" -}}
app.kubernetes.io/name: {{ include "reeve.name" . }}-landlord
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "reeve.landlord.labels" -}}
{{ include "reeve.landlord.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "reeve.landlord.subject" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "reeve.name" . }}-landlord
    namespace: {{ .Release.Namespace }}
{{- end }}

{{/* The ClusterRoles that it may bind. */}}
{{- define "reeve.landlord.bindable" -}}
{{- append .Values.landlord.roles (printf "%s-exec" (include "reeve.name" .)) | uniq | sortAlpha | toJson -}}
{{- end }}

{{/* What it is started with. */}}
{{- define "reeve.landlord.args" -}}
- landlord
{{- include "reeve.list" (dict "flag" "platform-namespaces" "of" (include "reeve.platform" . | fromJsonArray)) }}
{{- include "reeve.list" (dict "flag" "config-namespaces" "of" .Values.configNamespaces) }}
- {{ printf "--delivery-account=%s" (include "reeve.account" .) | quote }}
{{- include "reeve.list" (dict "flag" "roles" "of" .Values.landlord.roles) }}
- {{ printf "--exec-role=%s-exec" (include "reeve.name" .) | quote }}
{{- with .Values.watchLabelSelector }}
- {{ printf "--watch-label-selector=%s" . | quote }}
{{- end }}
- --health-addr={{ .Values.listenOn }}:9440
- {{ printf "--lease-namespace=%s" .Release.Namespace | quote }}
- {{ printf "--fence=%s-landlord" (include "reeve.name" .) | quote }}
- {{ printf "--log-level=%s" .Values.log.level | quote }}
- {{ printf "--log-encoding=%s" .Values.log.encoding | quote }}
{{- end }}

{{/* The host in artifacts' URLs. */}}
{{- define "reeve.advertised" -}}
{{- if .Values.artifacts.advertise -}}
{{ .Values.artifacts.advertise }}
{{- else if or (gt (int .Values.replicas) 1) .Values.sharding.enabled -}}
$(POD_IP):9090
{{- else -}}
{{ .Values.artifacts.serviceName }}.{{ .Release.Namespace }}.svc.cluster.local.
{{- end }}
{{- end }}

{{/* Where everything is delivered to, as JSON: `cluster.git`, or the same in the values of Rig's chart. An address as git reads it, a
host and behind a colon the path, is one of ssh. */}}
{{- define "reeve.deliver" -}}
{{- $git := deepCopy .Values.cluster.git }}
{{- $rigs := dig "cluster" "git" dict (.Values.rig | default dict) }}
{{- if and $git.url $rigs }}
{{- fail "give cluster.git or rig.cluster.git, not both" }}
{{- end }}
{{- $git = mergeOverwrite $git (deepCopy $rigs) }}
{{- if and $git.url (not (contains "://" $git.url)) }}
{{- $git = set $git "url" (regexReplaceAll "^([^:/]+):/*" $git.url "ssh://${1}/") }}
{{- end }}
{{- toJson $git }}
{{- end }}

{{/* A flag of several values, if there are any. */}}
{{- define "reeve.list" -}}
{{- if .of }}
- {{ printf "--%s=%s" .flag (join "," .of) | quote }}
{{- end }}
{{- end }}

{{/* A flag that is left to the controller when it is null. */}}
{{- define "reeve.number" -}}
{{- if not (kindIs "invalid" .of) }}
- {{ printf "--%s=%d" .flag (int64 .of) | quote }}
{{- end }}
{{- end }}

{{/* What the controller is started with. */}}
{{- define "reeve.args" -}}
- controller
{{- include "reeve.list" (dict "flag" "platform-namespaces" "of" (include "reeve.platform" . | fromJsonArray)) }}
{{- include "reeve.list" (dict "flag" "config-namespaces" "of" .Values.configNamespaces) }}
- {{ printf "--platform-service-account=%s" .Values.platformServiceAccount.name | quote }}
- {{ printf "--tenant-service-account=%s" .Values.tenantServiceAccount | quote }}
{{- include "reeve.list" (dict "flag" "allow-source-hosts" "of" .Values.allowSourceHosts) }}
{{- include "reeve.list" (dict "flag" "allow-artifact-hosts" "of" .Values.allowArtifactHosts) }}
{{- include "reeve.list" (dict "flag" "allow-remote-clusters" "of" .Values.allowRemoteClusters) }}
{{- include "reeve.list" (dict "flag" "remote-bases" "of" .Values.remoteBases) }}
{{- $mirrors := list }}
{{- range $from, $to := .Values.remoteBaseMirrors }}
{{- $mirrors = append $mirrors (printf "%s=%s" $from $to) }}
{{- end }}
{{- include "reeve.list" (dict "flag" "remote-base-mirror" "of" $mirrors) }}
{{- if or .Values.git.config .Values.git.existingSecret }}
- {{ printf "--git-config=secret/%s" (.Values.git.existingSecret | default (printf "%s-git" (include "reeve.name" .))) | quote }}
{{- end }}
{{- with include "reeve.deliver" . | fromJson }}
{{- if .url }}
- {{ printf "--deliver-url=%s" .url | quote }}
- {{ printf "--deliver-branch=%s" .branch | quote }}
{{- if .path_prefix }}
- {{ printf "--deliver-path-prefix=%s" .path_prefix | quote }}
{{- end }}
{{- if .existing_secret }}
- {{ printf "--deliver-secret=%s" .existing_secret | quote }}
{{- else if or .credentials.https.password .credentials.ssh.private_key }}
- {{ printf "--deliver-secret=%s-deliver" (include "reeve.name" $) | quote }}
{{- end }}
{{- if .propose }}
- --deliver-propose
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.git.knownHosts }}
- --known-hosts-file=/ssh/known_hosts
{{- end }}
{{- if .Values.plainHttpProviders }}
- --plain-http-providers
{{- end }}
{{- $kinds := list }}
{{- range $kind, $plural := .Values.watchKinds }}
{{- if $plural }}
{{- $kinds = append $kinds $kind }}
{{- end }}
{{- end }}
{{- include "reeve.list" (dict "flag" "watch-kinds" "of" $kinds) }}
{{- include "reeve.number" (dict "flag" "tenant-reconciles-per-minute" "of" .Values.tenantLimits.reconcilesPerMinute) }}
{{- include "reeve.number" (dict "flag" "tenant-render-milliseconds-per-minute" "of" .Values.tenantLimits.renderMillisecondsPerMinute) }}
{{- include "reeve.number" (dict "flag" "tenant-writes-per-minute" "of" .Values.tenantLimits.writesPerMinute) }}
{{- include "reeve.number" (dict "flag" "tenant-objects" "of" .Values.tenantLimits.objects) }}
{{- include "reeve.number" (dict "flag" "tenant-kustomizations" "of" .Values.tenantLimits.kustomizations) }}
{{- include "reeve.number" (dict "flag" "tenant-storage-mebibytes" "of" .Values.tenantLimits.storageMebibytes) }}
{{- include "reeve.number" (dict "flag" "concurrent" "of" .Values.concurrency.kustomizations) }}
{{- include "reeve.number" (dict "flag" "concurrent-sources" "of" .Values.concurrency.sources) }}
- --storage-path=/data
{{- include "reeve.number" (dict "flag" "storage-limit" "of" .Values.storage.artifactBytes) }}
{{- include "reeve.number" (dict "flag" "mirror-limit" "of" .Values.storage.mirrorBytes) }}
- --storage-addr={{ .Values.listenOn }}:9090
- {{ printf "--storage-adv-addr=%s" (include "reeve.advertised" .) | quote }}
- --receiver-addr={{ .Values.listenOn }}:9292
{{- include "reeve.list" (dict "flag" "trusted-proxies" "of" .Values.receiver.trustedProxies) }}
{{- with .Values.receiver.url }}
- {{ printf "--receiver-url=%s" . | quote }}
{{- end }}
{{- with .Values.clusterName }}
- {{ printf "--cluster-name=%s" . | quote }}
{{- end }}
{{- with .Values.watchLabelSelector }}
- {{ printf "--watch-label-selector=%s" . | quote }}
{{- end }}
- --metrics-addr={{ .Values.listenOn }}:8080
- --health-addr={{ .Values.listenOn }}:9440
{{- if include "reeve.admission" . }}
- --admission-addr={{ .Values.listenOn }}:9443
- {{ printf "--admission-hosts=%s-admission.%s.svc" (include "reeve.name" .) .Release.Namespace | quote }}
- {{ printf "--admission-configuration=%s" (include "reeve.name" .) | quote }}
- {{ printf "--admission-secret=%s-admission" (include "reeve.name" .) | quote }}
{{- end }}
- {{ printf "--plugins-dir=%s" .Values.pluginsDir | quote }}
{{- if .Values.sharding.enabled }}
- --sharding=true
{{- end }}
- {{ printf "--lease-namespace=%s" .Release.Namespace | quote }}
{{- include "reeve.number" (dict "flag" "graceful-shutdown-timeout" "of" .Values.gracefulShutdownSeconds) }}
- {{ printf "--log-level=%s" .Values.log.level | quote }}
- {{ printf "--log-encoding=%s" .Values.log.encoding | quote }}
{{- if .Values.traces.endpoint }}
- {{ printf "--otlp-endpoint=%s" .Values.traces.endpoint | quote }}
- {{ printf "--trace-ratio=%v" .Values.traces.ratio | quote }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}
