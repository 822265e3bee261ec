{{/* The data of the edge's ConfigMap: the policy, and what is of this release. */}}
{{- define "handrail.edgeConfig" -}}
{{- $root := . -}}
nginx.conf: |
  {{- .Files.Get "files/edge/nginx.conf" | nindent 2 }}
upstreams.conf: |
  map "" $edge_certificates { default /etc/handrail/edge-tls; }
  map "" $handrail_scheme { default grpcs; }
  grpc_ssl_verify on;
  grpc_ssl_trusted_certificate /etc/handrail/ca/ca.crt;
  {{- range $component := list "profiles" "matching" "messaging" }}
  map "" $handrail_{{ $component }}_name { default {{ include "handrail.host" (dict "root" $root "component" $component) }}; }
  upstream handrail_{{ $component }} {
    server {{ include "handrail.fullname" $root }}-{{ $component }}-edge.{{ $root.Release.Namespace }}.svc:8443;
    keepalive 64;
    keepalive_timeout 60s;
  }
  {{- end }}
  server {
    # Probes.
    listen 9090;
    access_log off;
    default_type text/plain;
    location = /livez { return 200 "ok\n"; }
    location = /readyz { return 200 "ok\n"; }
    location / { return 404; }
  }
listen.conf: |
  listen 8443 ssl http2{{ if .Values.edge.proxyProtocolFrom }} proxy_protocol{{ end }};
  {{- range .Values.edge.proxyProtocolFrom }}
  set_real_ip_from {{ . }};
  {{- end }}
  {{- if .Values.edge.proxyProtocolFrom }}
  real_ip_header proxy_protocol;
  {{- end }}
  # A name with a variable is read at every handshake: a renewed certificate needs no restart.
  ssl_certificate $edge_certificates/tls.crt;
  ssl_certificate_key $edge_certificates/tls.key;
{{- end -}}
