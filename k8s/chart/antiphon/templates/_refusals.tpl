{{- /* What a schema cannot say, or says in words that nobody reads. Renders nothing. Every file begins with it, since
     which one is rendered first is not said. */ -}}
{{- define "antiphon.refusals" -}}
{{- if .Values.enabled }}
{{- $v := .Values }}
{{- if and (not $v.network.file) (not $v.network.configMap) }}
{{- fail "There is no network file: give --set-file network.file=network.toml, or network.configMap." }}
{{- end }}
{{- if and $v.network.file $v.network.configMap }}
{{- fail "The network file is given twice: leave out network.file or network.configMap." }}
{{- end }}
{{- if and $v.network.file (not (contains "[[operator]]" $v.network.file)) }}
{{- fail "network.file is no network file: it names no [[operator]]. `antiphon keygen network` writes one; give it with --set-file." }}
{{- end }}
{{- if and (gt (int $v.shards.count) 0) (not $v.operators.names) }}
{{- fail "operators.names is empty: name the operator whose shards these are." }}
{{- end }}
{{- if gt (int $v.shards.count) 0 }}
{{- range $name := $v.operators.names }}
{{- $list := index $v.operators.lists $name }}
{{- if and (not $list) (not $v.operators.configMap) }}
{{- fail (printf "There is no list of the operator %s: give --set-file operators.lists.%s=%s.list, or operators.configMap." $name $name $name) }}
{{- end }}
{{- if and $list $v.operators.configMap }}
{{- fail (printf "The list of the operator %s is given twice: leave out operators.lists or operators.configMap." $name) }}
{{- end }}
{{- if and $list (not (regexMatch "^(([ \\t]*#[^\\n]*|[0-9a-fA-F \\t\\r]*)(\\n|$))*$" $list)) }}
{{- fail (printf "operators.lists.%s is no operator's list: `antiphon keygen operator-list` writes one; give it with --set-file." $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (gt (int $v.shards.count) 0) (not $v.shards.keys) }}
{{- fail (printf "shards.keys is empty: name the Secret with the shards' keys, %s-shard-0.key and so on." .Release.Name) }}
{{- end }}
{{- if and $v.coordinator.run (not $v.coordinator.keys) }}
{{- fail "coordinator.keys is empty: name the Secret with coordinator.key, or set coordinator.run=false and coordinator.address." }}
{{- end }}
{{- if and (not $v.coordinator.run) (not $v.coordinator.address) }}
{{- fail "coordinator.address is empty: give host and port of the network's coordinator for shards, or set coordinator.run=true." }}
{{- end }}
{{- if and $v.coordinator.run $v.coordinator.address }}
{{- fail "coordinator.address is for networks whose coordinator runs elsewhere: leave it out, or set coordinator.run=false." }}
{{- end }}
{{- if not $v.coordinator.identity }}
{{- fail "coordinator.identity is empty: give the coordinator's public key, as `antiphon keygen identity` printed it." }}
{{- end }}
{{- if and (not $v.image.digest) (not $v.image.allowTag) }}
{{- fail "image.digest is empty: give the digest that `k8s/image/build` printed. A tag can be moved to another program; to take one all the same, set image.allowTag=true and image.tag." }}
{{- end }}
{{- if and (not $v.image.digest) (not $v.image.tag) }}
{{- fail "image.tag is empty, and image.digest as well: give one of them." }}
{{- end }}
{{- $ports := $v.exposure.nodePorts }}
{{- $end := add $ports.peers $v.shards.count }}
{{- $clients := int64 $ports.clients }}
{{- if and (eq $v.exposure.type "nodePort") (gt $end $clients) (le (int64 $ports.peers) $clients) }}
{{- fail (printf "exposure.nodePorts: %d shards from port %d on run into those for clients, from %d on." (int $v.shards.count) (int $ports.peers) $clients) }}
{{- end }}
{{- if gt (len .Release.Name) 40 }}
{{- fail "The release's name is longer than 40 characters: names of Services and claims begin with it." }}
{{- end }}
{{- end }}
{{- end }}
