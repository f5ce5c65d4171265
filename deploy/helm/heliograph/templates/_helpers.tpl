{{- define "heliograph.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "heliograph.selector" . }}
{{- end }}

{{- define "heliograph.selector" -}}
app.kubernetes.io/name: heliograph
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "heliograph.name" -}}
{{- if contains "heliograph" .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-heliograph" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "heliograph.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "heliograph.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "heliograph.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "heliograph.vapidSubject" -}}
{{- $how := "set settings.HELIOGRAPH_VAPID_SUBJECT to a mailto: or https: address of yours" -}}
{{ required $how .Values.settings.HELIOGRAPH_VAPID_SUBJECT }}
{{- end }}

{{/* Settings: those of the values, and where the secrets are. */}}
{{- define "heliograph.environment" -}}
- name: HELIOGRAPH_LISTEN
  value: 0.0.0.0:8040
- name: HELIOGRAPH_DATABASE_URL_FILE
  value: /run/secrets/heliograph/database_url
- name: HELIOGRAPH_MASTER_KEY_FILE
  value: /run/secrets/heliograph/master_key
{{- if .Values.secret.keys.adminToken }}
- name: HELIOGRAPH_ADMIN_TOKEN_FILE
  value: /run/secrets/heliograph/admin_token
{{- end }}
{{- if .Values.secret.keys.queueUrl }}
- name: HELIOGRAPH_QUEUE_URL_FILE
  value: /run/secrets/heliograph/queue_url
{{- end }}
- name: HELIOGRAPH_VAPID_SUBJECT
  value: {{ include "heliograph.vapidSubject" . | quote }}
{{- range $name, $value := omit .Values.settings "HELIOGRAPH_VAPID_SUBJECT" }}
- name: {{ $name }}
  {{- /* Helm reads every number as a floating one, and would write a large one as 1.2e+06. */}}
  value: {{ kindIs "float64" $value | ternary (int64 $value) $value | quote }}
{{- end }}
{{- end }}

{{- define "heliograph.mounts" -}}
- name: secrets
  mountPath: /run/secrets/heliograph
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "heliograph.volumes" -}}
- name: secrets
  secret:
    secretName: {{ .Values.secret.name }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.secret.keys.databaseUrl | quote }}, path: database_url}
      - {key: {{ .Values.secret.keys.masterKey | quote }}, path: master_key}
      {{- with .Values.secret.keys.adminToken }}
      - {key: {{ . | quote }}, path: admin_token}
      {{- end }}
      {{- with .Values.secret.keys.queueUrl }}
      - {key: {{ . | quote }}, path: queue_url}
      {{- end }}
- name: tmp
  emptyDir: {}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
