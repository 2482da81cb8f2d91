{{- define "load.labels" -}}
app.kubernetes.io/name: antiphon-load
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
