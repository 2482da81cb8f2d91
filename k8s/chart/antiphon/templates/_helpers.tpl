{{- /* Names and labels. Pods are called <release>-shard-<n>: keys are found by that. */ -}}
{{- define "antiphon.labels" -}}
app.kubernetes.io/name: antiphon
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "antiphon.selector" -}}
app.kubernetes.io/name: antiphon
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "antiphon.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end }}
{{- end }}

{{- define "antiphon.networkConfigMap" -}}
{{ .Values.network.configMap | default (printf "%s-network" .Release.Name) }}
{{- end }}

{{- define "antiphon.listConfigMap" -}}
{{ .Values.operators.configMap | default (printf "%s-operator-lists" .Release.Name) }}
{{- end }}

{{- /* What the controller's pods have as well: ports, probes, mounts, and what every pod is forbidden. */ -}}
{{- define "antiphon.pods" -}}
{{ .Files.Get "files/pods.json" }}
{{- end }}

{{- define "antiphon.pod" -}}
{{ (include "antiphon.pods" . | fromJson).pod | toYaml }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The container of the component .component. */ -}}
{{- define "antiphon.container" -}}
{{- $pods := include "antiphon.pods" .root | fromJson -}}
{{- $own := index $pods .component -}}
{{- $host := eq .root.Values.exposure.type "hostPort" -}}
name: {{ .component }}
image: {{ include "antiphon.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: {{ concat (list "--log" .root.Values.log) $own.args | toJson }}
{{- $env := $own.env -}}
{{- if and (eq .root.Values.exposure.family "dual") $own.envOfBothFamilies -}}
{{- $env = append $env (index $own.envOfBothFamilies (include "antiphon.ownVariable" .root)) -}}
{{- end -}}
{{- if .root.Values.telemetry.endpoint -}}{{- $env = concat $env (default list $own.envToTell) -}}{{- end }}
env: {{- toYaml $env | nindent 2 }}
ports:
{{- range $own.ports }}
  - {{ ternary (merge (dict "hostPort" .containerPort) .) . (and $host (has .name $own.onNode)) | toJson }}
{{- end }}
{{ toYaml $pods.container }}
resources: {{- toYaml .resources | nindent 2 }}
volumeMounts: {{- toYaml $own.volumeMounts | nindent 2 }}
{{- end }}

{{- /* Every address of this machine, and a variable's address with a port, as configurations write them. */ -}}
{{- define "antiphon.any" -}}
{{ if eq .Values.exposure.family "IPv4" }}0.0.0.0{{ else }}[::]{{ end }}
{{- end }}

{{- /* The variable with the address at which a pod is dialled: its own or its node's. */ -}}
{{- define "antiphon.ownVariable" -}}
{{ ternary "POD_IP" "HOST_IP" (has .Values.exposure.type (list "cluster" "loadBalancer")) }}
{{- end }}

{{- define "antiphon.own" -}}
{{- $exposure := .root.Values.exposure -}}
{{- $ip := include "antiphon.ownVariable" .root -}}
{{- if eq $exposure.family "dual" }}{{ $ip = printf "%sS" $ip }}{{ end -}}
{{ if eq $exposure.family "IPv6" }}[${{ "{" }}{{ $ip }}}]{{ else }}${{ "{" }}{{ $ip }}}{{ end }}
{{- end }}

{{- /* Where others find what .kind names at the shard .at, as TOML. Other shards of the cluster need no load balancer. */ -}}
{{- define "antiphon.advertised" -}}
{{- $exposure := .root.Values.exposure -}}
{{- $port := ternary 7100 7101 (eq .kind "peers") -}}
{{- $own := include "antiphon.own" . -}}
{{- if eq $exposure.type "loadBalancer" -}}
{{- $file := printf "file:%s-shard-%d.%s" .root.Release.Name (int .at) .kind -}}
{{ if eq .kind "peers" }}{{ list (printf "%s:7100" $own) $file | toJson }}{{ else }}{{ toJson $file }}{{ end }}
{{- else if eq $exposure.type "nodePort" -}}
{{ printf "%s:%d" $own (add (index $exposure.nodePorts .kind) .at) | toJson }}
{{- else -}}
{{ printf "%s:%d" $own $port | toJson }}
{{- end -}}
{{- end }}

{{- /* The load balancer of .kind of the shard .at, as its file has it. */ -}}
{{- define "antiphon.balancer" -}}
{{- $host := index .root.Values.exposure.loadBalancers .kind .at -}}
{{ if contains ":" $host }}[{{ $host }}]{{ else }}{{ $host }}{{ end }}:{{ ternary 7100 7101 (eq .kind "peers") }}
{{- end }}

{{- /* The last section of every configuration. */ -}}
{{- define "antiphon.telemetry" -}}
{{- with .Values.telemetry.endpoint }}

[telemetry]
endpoint = {{ toJson . }}
{{- end }}
{{- end }}

{{- /* The collector's port, for a network policy. */ -}}
{{- define "antiphon.collectorPort" -}}
{{ .Values.telemetry.endpoint | trimSuffix "/" | splitList ":" | last }}
{{- end }}

{{- /* Whether all addresses are known that shards have to be told: "true" or nothing. */ -}}
{{- define "antiphon.addressed" -}}
{{- $balancers := .Values.exposure.loadBalancers -}}
{{- $least := min (len $balancers.peers) (len $balancers.clients) | int -}}
{{- if or (ne .Values.exposure.type "loadBalancer") (ge $least (int .Values.shards.count)) }}true{{ end -}}
{{- end }}

{{- /* Host and port of every coordinator's endpoint for shards, as a list in JSON. */ -}}
{{- define "antiphon.coordinatorAddresses" -}}
{{- $addresses := .Values.coordinator.addresses -}}
{{- if .Values.coordinator.run -}}
{{- range $at := until (int .Values.coordinator.replicas) -}}
{{- $addresses = append $addresses (printf "%s-coordinator-%d.%s-coordinator:7000" $.Release.Name $at $.Release.Name) -}}
{{- end -}}
{{- end -}}
{{ toJson $addresses }}
{{- end }}

{{- /* Pods of the component .component on as many nodes and in as many zones as there are, and with the nodes' ports, on one
     node each, unless .affinity says otherwise. */ -}}
{{- define "antiphon.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "antiphon.selector" . | nindent 8 }}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "antiphon.selector" . | nindent 8 }}
{{- if .affinity }}
affinity: {{- toYaml .affinity | nindent 2 }}
{{- else if eq .root.Values.exposure.type "hostPort" }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "antiphon.selector" . | nindent 12 }}
{{- end }}
{{- end }}

{{- /* A table as TOML. Values are numbers, texts or lists of texts. */ -}}
{{- define "antiphon.toml" -}}
{{- range $key, $value := . }}
{{- if or (kindIs "float64" $value) (kindIs "int64" $value) (kindIs "int" $value) }}
{{ $key }} = {{ int64 $value }}
{{- else }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The longest that a round of 20 layers can take by its deadlines, in milliseconds. */ -}}
{{- define "antiphon.longestRound" -}}
{{- $d := .Values.coordinator.deadlines -}}
{{- $layer := add (dig "layer_ms" 3000 $d | int64) (dig "reply_ms" 3000 $d | int64) -}}
{{- $verify := mul 3 (dig "verify_ms" 3000 $d | int64) -}}
{{- $once := add (dig "submit_ms" 1500 $d | int64) (dig "interval_ms" 5000 .Values.coordinator.epoch | int64) -}}
{{ add (mul 20 $layer) $verify $once }}
{{- end }}

{{- /* That, and what it takes to say goodbye, in seconds. */ -}}
{{- define "antiphon.coordinatorGrace" -}}
{{ div (add 15000 (include "antiphon.longestRound" . | int64) 999) 1000 }}
{{- end }}

{{- /* That, the longest that an epoch without the shard is waited for, and what it takes to say goodbye, in seconds. */ -}}
{{- define "antiphon.shardGrace" -}}
{{ div (add 60000 15000 (include "antiphon.longestRound" . | int64) 999) 1000 }}
{{- end }}

{{- define "antiphon.coordinatorConfig" -}}
{{- $any := include "antiphon.any" . -}}
{{- $replicas := .Values.coordinator.replicas | int | toString -}}
{{ .Files.Get "files/coordinator.toml" | replace "@any@" $any | replace "@replicas@" $replicas | trim }}
{{- range $section := list "beats" "epoch" "deadlines" "limits" }}
{{- with index $.Values.coordinator $section }}

[{{ $section }}]
{{- include "antiphon.toml" . }}
{{- end }}
{{- end }}
{{- include "antiphon.telemetry" . }}
{{- end }}

{{- /* The configuration of the shard .at. */ -}}
{{- define "antiphon.shardConfig" -}}
{{- $root := .root -}}
{{- $addresses := include "antiphon.coordinatorAddresses" $root | fromJsonArray -}}
{{- $coordinators := list -}}
{{- range $which, $identity := $root.Values.coordinator.identities -}}
{{- $coordinators = append $coordinators (printf "[[coordinator]]\naddress = %q\nidentity = %q\n" (index $addresses $which) $identity) -}}
{{- end -}}
{{- $names := $root.Values.operators.names -}}
{{ $root.Files.Get "files/shard.toml" | replace "@any@" (include "antiphon.any" $root)
  | replace "@peers@" (include "antiphon.advertised" (dict "root" $root "kind" "peers" "at" .at))
  | replace "@clients@" (include "antiphon.advertised" (dict "root" $root "kind" "clients" "at" .at))
  | replace "@operator@" (index $names (mod .at (len $names)))
  | replace "@coordinators@" (join "\n" $coordinators) | trim }}
{{- with $root.Values.shards.limits }}

[limits]
{{- include "antiphon.toml" . }}
{{- end }}
{{- include "antiphon.telemetry" $root }}
{{- end }}
