# What pint demands of the rules, offline: tools/rules.sh runs it with --fail-on=warning.

parser {
  schema = "prometheus"
}

rule {
  match {
    kind = "alerting"
  }
  label "severity" {
    value    = "critical|warning|info"
    required = true
    severity = "bug"
  }
  annotation "summary" {
    value    = "[A-Z].*\\."
    required = true
    severity = "bug"
  }
  annotation "description" {
    required = true
    severity = "bug"
  }
  annotation "runbook_url" {
    value    = "https://.+/LLM[A-Za-z]+\\.md"
    required = true
    severity = "bug"
  }
  annotation "dashboard_url" {
    value    = "http://grafana\\.example/d/llm-prober-[a-z]+(\\?.+)?"
    required = true
    severity = "bug"
  }
  name "LLM[A-Z][A-Za-z]+" {
    severity = "bug"
  }
}

rule {
  match {
    kind = "recording"
  }
  # level:metric:operations
  name "(instance|target(_(probe|objective|ramp))?(_(outcome|part|phase|reason|source|verdict))?|uuid(_(reason|sensor))?):llm_[a-z_]+:[a-z0-9_]+" {
    severity = "bug"
  }
}
