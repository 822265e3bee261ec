{{/* The parts every template uses. A component is profiles, matching, messaging or edge. */}}

{{- define "handrail.fullname" -}}
{{- if contains "handrail" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-handrail" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* {root, component}: what selects the pods of a component; never changes. */}}
{{- define "handrail.selector" -}}
app.kubernetes.io/name: handrail
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "handrail.labels" -}}
{{ include "handrail.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "handrail.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* {root, component}: the name that a service's certificate must have. */}}
{{- define "handrail.host" -}}
{{ include "handrail.fullname" .root }}-{{ .component }}.{{ .root.Release.Namespace }}.svc
{{- end -}}

{{/* Of every pod: the restricted pod security standard, where it runs, and how pods spread. */}}
{{- define "handrail.podSpec" -}}
serviceAccountName: {{ include "handrail.fullname" .root }}-{{ .component }}
automountServiceAccountToken: false
# Environment variables HANDRAIL_… are flags; those that Kubernetes would make of Services are not.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "handrail.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}

{{- define "handrail.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Startup, then live and ready. /livez depends on nothing outside of the process. */}}
{{- define "handrail.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{/* {root, component}: the flags of a service. deploy/check compares them with its --help. */}}
{{- define "handrail.flags" -}}
{{- $values := index .root.Values .component -}}
- --public_address=0.0.0.0:8443
- --internal_address=0.0.0.0:9443
- --admin_address=0.0.0.0:9090
- --behind_edge
- --tls_certificate_file=/etc/handrail/tls/tls.crt
- --tls_key_file=/etc/handrail/tls/tls.key
- --internal_certificate_file=/etc/handrail/tls/tls.crt
- --internal_key_file=/etc/handrail/tls/tls.key
- --internal_ca_file=/etc/handrail/tls/ca.crt
- --trust_domain={{ .root.Values.trustDomain }}
- --issuer={{ .root.Values.tokens.issuer }}
- --audience={{ .root.Values.tokens.audience }}
- --database_url_file=/etc/handrail/database/url
- --redis_url_file=/etc/handrail/redis/url
- --log_level={{ .root.Values.logLevel }}
- --worker_threads={{ $values.workerThreads }}
- --drain_serve_on={{ .root.Values.drain.serveOnSeconds }}s
- --drain_deadline={{ .root.Values.drain.deadlineSeconds }}s
{{- if ne .component "profiles" }}
- --profiles_address=dns:///{{ include "handrail.host" (dict "root" .root "component" "profiles") }}:8443
- --profiles_internal_address=dns:///{{ include "handrail.host" (dict "root" .root "component" "profiles") }}:9443
{{- end }}
{{- if eq .component "profiles" }}
- --matching_internal_address=dns:///{{ include "handrail.host" (dict "root" .root "component" "matching") }}:9443
{{- end }}
{{- if ne .component "messaging" }}
- --messaging_internal_address=dns:///{{ include "handrail.host" (dict "root" .root "component" "messaging") }}:9443
{{- end }}
- --key_ring_file=/etc/handrail/keyring/keyring
- --group_readable_keys
{{- if and (eq .component "messaging") $values.push.gatewayUrl }}
- --push_gateway_url={{ $values.push.gatewayUrl }}
- --push_secrets_file=/etc/handrail/push/secrets
{{- if $values.push.caSecret }}
- --push_ca_file=/etc/handrail/push-ca/ca.crt
{{- end }}
{{- end }}
{{- if eq .component "profiles" }}
- --deployment={{ .root.Values.deploymentName }}
- --signing_keys_folder=/etc/handrail/signing-keys
# The folder is a mounted Secret: new keys come into it by hand.
- --rotate_signing_keys_after=0
{{- if $values.operatorsConfigMap }}
- --operators_file=/etc/handrail/operators/operators
{{- end }}
{{- end }}
{{- range $values.extraFlags }}
- {{ . | quote }}
{{- end }}
{{- end -}}
