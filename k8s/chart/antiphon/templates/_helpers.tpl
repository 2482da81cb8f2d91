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

{{- /* What every pod is forbidden, and what meshes are told. */ -}}
{{- define "antiphon.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "antiphon.containerSecurity" -}}
image: {{ include "antiphon.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{- define "antiphon.meshLabels" -}}
sidecar.istio.io/inject: "false"
{{- end }}

{{- define "antiphon.meshAnnotations" -}}
linkerd.io/inject: disabled
sidecar.istio.io/inject: "false"
{{- end }}

{{- define "antiphon.probes" -}}
startupProbe:
  httpGet: { path: /live, port: admin }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /live, port: admin }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /ready, port: admin }
  periodSeconds: 2
  timeoutSeconds: 2
{{- end }}

{{- /* Every address of this machine, and a variable's address with a port, as configurations write them. */ -}}
{{- define "antiphon.any" -}}
{{ if eq .Values.exposure.family "IPv6" }}[::]{{ else }}0.0.0.0{{ end }}
{{- end }}

{{- define "antiphon.own" -}}
{{- $ip := ternary "POD_IP" "HOST_IP" (eq .root.Values.exposure.type "cluster") -}}
{{ if eq .root.Values.exposure.family "IPv6" }}[${{ "{" }}{{ $ip }}}]{{ else }}${{ "{" }}{{ $ip }}}{{ end }}
{{- end }}

{{- /* host:port under which others find what .kind names at the shard .at. */ -}}
{{- define "antiphon.advertised" -}}
{{- $exposure := .root.Values.exposure -}}
{{- $port := ternary 7100 7101 (eq .kind "peers") -}}
{{- if eq $exposure.type "loadBalancer" -}}
{{- $host := index $exposure.loadBalancers .kind .at -}}
{{ if contains ":" $host }}[{{ $host }}]{{ else }}{{ $host }}{{ end }}:{{ $port }}
{{- else if eq $exposure.type "nodePort" -}}
{{ include "antiphon.own" . }}:{{ add (index $exposure.nodePorts .kind) .at }}
{{- else -}}
{{ include "antiphon.own" . }}:{{ $port }}
{{- end -}}
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
listen_shards = "{{ include "antiphon.any" . }}:7000"
listen_clients = "{{ include "antiphon.any" . }}:7001"
identity = "/keys/coordinator.key"
network = "/network/network.toml"
state = "/state/coordinator.state.json"
replicas = {{ int .Values.coordinator.replicas }}

[admin]
listen = "{{ include "antiphon.any" . }}:9100"
{{- range $section := list "epoch" "deadlines" "limits" }}
{{- with index $.Values.coordinator $section }}

[{{ $section }}]
{{- include "antiphon.toml" . }}
{{- end }}
{{- end }}
{{- end }}
