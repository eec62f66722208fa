{{- define "llm-prober.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "llm-prober.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "llm-prober.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "llm-prober.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of everything: (dict "root" $ "component" NAME). */}}
{{- define "llm-prober.labels" -}}
{{ include "llm-prober.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "llm-prober.selector" -}}
app.kubernetes.io/name: {{ include "llm-prober.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "llm-prober.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "llm-prober.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "llm-prober.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Where the configuration and its secrets are. */}}
{{- define "llm-prober.configMounts" -}}
- name: config
  mountPath: /etc/llm_prober
  readOnly: true
{{- range .Values.secrets }}
- name: {{ printf "secret-%s" . | trunc 63 | trimSuffix "-" }}
  mountPath: /run/secrets/{{ . }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "llm-prober.configVolumes" -}}
- name: config
  configMap:
    name: {{ include "llm-prober.fullname" . }}
{{- range .Values.secrets }}
- name: {{ printf "secret-%s" . | trunc 63 | trimSuffix "-" }}
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "llm-prober.envFrom" -}}
{{- range .Values.envFromSecrets }}
- secretRef:
    name: {{ . }}
{{- end }}
{{- end -}}

{{/* The prober tells kubelet of itself: with passwords in the web configuration a plain HTTP probe would be refused. */}}
{{- define "llm-prober.liveness" -}}
exec:
  command: [/usr/bin/llm_prober, healthcheck, {{ printf "--url=%s://127.0.0.1:9779" (ternary "http" .Values.serviceMonitor.scheme (empty .Values.webConfigSecret)) | quote }}]
timeoutSeconds: 6
periodSeconds: 20
{{- end -}}

{{/* Seconds of 90s, 30m or 3h. */}}
{{- define "llm-prober.seconds" -}}
{{- $n := regexFind "^[0-9]+" . | int -}}
{{- if hasSuffix "h" . }}{{ mul $n 3600 }}{{ else if hasSuffix "m" . }}{{ mul $n 60 }}{{ else }}{{ $n }}{{ end -}}
{{- end -}}
