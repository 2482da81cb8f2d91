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
{{- fail (printf "coordinator.keys is empty: name the Secret with %s-coordinator-0.key and so on, or set coordinator.run=false and coordinator.addresses." .Release.Name) }}
{{- end }}
{{- $identities := len $v.coordinator.identities }}
{{- $addresses := len $v.coordinator.addresses }}
{{- if and (not $v.coordinator.run) (eq $addresses 0) }}
{{- fail "coordinator.addresses is empty: give host and port of every coordinator of the network for shards, or set coordinator.run=true." }}
{{- end }}
{{- if and $v.coordinator.run (gt $addresses 0) }}
{{- fail "coordinator.addresses is for networks whose coordinators run elsewhere: leave it out, or set coordinator.run=false." }}
{{- end }}
{{- if eq $identities 0 }}
{{- fail "coordinator.identities is empty: give the public key of every coordinator, as `antiphon keygen identity` printed it." }}
{{- end }}
{{- $coordinators := ternary (int $v.coordinator.replicas) $addresses $v.coordinator.run }}
{{- if ne $identities $coordinators }}
{{- fail (printf "coordinator.identities has %d public keys for %d coordinators: give one for each, in the order of %s." $identities $coordinators (ternary "their pods" "coordinator.addresses" $v.coordinator.run)) }}
{{- end }}
{{- if ne $identities (uniq $v.coordinator.identities | len) }}
{{- fail "coordinator.identities has the same public key twice: each coordinator has a key of its own." }}
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
{{- $shards := int64 $ports.coordinatorShards }}
{{- $apart := sub (max $shards (int64 $ports.coordinatorClients)) (min $shards (int64 $ports.coordinatorClients)) }}
{{- if and (eq $v.exposure.type "nodePort") $v.coordinator.run (lt $apart (int64 $v.coordinator.replicas)) }}
{{- fail (printf "exposure.nodePorts: %d coordinators from port %d on run into those for clients, from %d on." (int $v.coordinator.replicas) $shards (int64 $ports.coordinatorClients)) }}
{{- end }}
{{- if gt (len .Release.Name) 40 }}
{{- fail "The release's name is longer than 40 characters: names of Services and claims begin with it." }}
{{- end }}
{{- end }}
{{- end }}
