{{- define "llm-prober.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | regexFind "^.*[A-Za-z0-9]" -}}
{{- end -}}

{{/* What everything is named by: Services and pods among it, whose names begin with a letter and have no dots. */}}
{{- define "llm-prober.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = include "llm-prober.name" . -}}
{{- $name = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- end -}}
{{- $name = $name | trunc 40 | regexFind "^.*[A-Za-z0-9]" -}}
{{- if not (regexMatch "^[a-z][-a-z0-9]*$" $name) -}}
{{- fail (printf "%q cannot name a Service: small letters, digits and dashes, a letter first; cure: fullnameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* A name in at most so many characters, (dict "name" NAME "max" N): of what is cut off, a hash remains that tells it from others. */}}
{{- define "llm-prober.short" -}}
{{- if le (len .name) .max -}}
{{- .name -}}
{{- else -}}
{{- printf "%s-%s" (trunc (int (sub .max 9)) .name | trimSuffix "-") (.name | sha256sum | trunc 8) -}}
{{- end -}}
{{- end -}}

{{/* The volume of a Secret. Names of volumes have no dots and are shorter: where that changes the name, a hash tells it from others. */}}
{{- define "llm-prober.secretVolume" -}}
{{- $name := replace "." "-" . -}}
{{- if ne $name . -}}
{{- $name = printf "%s-%s" $name (sha256sum . | trunc 8) -}}
{{- end -}}
secret-{{ include "llm-prober.short" (dict "name" $name "max" 56) }}
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
app.kubernetes.io/name: {{ include "llm-prober.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
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
- name: {{ include "llm-prober.secretVolume" . | quote }}
  mountPath: {{ printf "/run/secrets/%s" . | quote }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "llm-prober.configVolumes" -}}
- name: config
  configMap:
    name: {{ include "llm-prober.fullname" . | quote }}
{{- range .Values.secrets }}
- name: {{ include "llm-prober.secretVolume" . | quote }}
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "llm-prober.envFrom" -}}
{{- range .Values.envFromSecrets }}
- secretRef:
    name: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* The scheme of the prober's own port; without a web configuration it is plain. */}}
{{- define "llm-prober.scheme" -}}
{{- if .Values.webConfigSecret -}}
{{- .Values.webScheme | default .Values.serviceMonitor.scheme | default "http" -}}
{{- if and (eq .Values.webScheme "https") (eq .Values.serviceMonitor.scheme "http") -}}
{{- fail "webScheme is https and serviceMonitor.scheme http, but Prometheus would be refused; cure: leave serviceMonitor.scheme out" -}}
{{- end -}}
{{- else if eq .Values.webScheme "https" -}}
{{- fail "webScheme is https, but it is a web configuration that makes TLS; cure: webConfigSecret" -}}
{{- else -}}
http
{{- end -}}
{{- end -}}

{{/* The prober tells kubelet of itself: with passwords in the web configuration a plain HTTP probe would be refused. */}}
{{- define "llm-prober.liveness" -}}
exec:
  command: [/usr/bin/llm_prober, healthcheck, {{ printf "--url=%s://127.0.0.1:9779" (include "llm-prober.scheme" .) | quote }}]
timeoutSeconds: 6
periodSeconds: 20
{{- end -}}

{{/* Seconds of 90s, 30m or 3h. */}}
{{- define "llm-prober.seconds" -}}
{{- $n := regexFind "^[0-9]+" . | int -}}
{{- if hasSuffix "h" . }}{{ mul $n 3600 }}{{ else if hasSuffix "m" . }}{{ mul $n 60 }}{{ else }}{{ $n }}{{ end -}}
{{- end -}}
