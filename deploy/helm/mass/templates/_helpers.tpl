{{- define "mass.selectorLabels" -}}
app.kubernetes.io/name: mass
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mass.labels" -}}
{{ include "mass.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "mass.fullname" -}}
{{- if eq .Release.Name .Chart.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-mass" .Release.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}
