package config

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// The kinds of engines that rules here speak of; EngineKinds lists them all.
const (
	EngineAuto   = "auto"
	EngineCustom = "custom"
)

// EngineKinds lists the kinds that an engine may have, the default first.
func EngineKinds() []string {
	return []string{EngineAuto, "vllm", "sglang", "tgi", "llamacpp", "trtllm", "triton", "lmdeploy", "dynamo", "nim", "ray", EngineCustom}
}

// EngineMetrics lists the keys that an engine's custom may have: our metrics, without llm_engine_.
func EngineMetrics() []string {
	return []string{
		"batch_size", "cached_prompt_tokens_total", "decode_busy_seconds_total", "decode_seconds", "generation_tokens_total",
		"inference_seconds", "inter_token_latency_seconds", "kv_cache_usage_ratio", "preemptions_total", "prefill_busy_seconds_total",
		"prefill_seconds", "prefix_cache_hits_tokens_total", "prefix_cache_queries_tokens_total", "process_cpu_seconds_total",
		"process_resident_memory_bytes", "process_start_time_seconds", "prompt_tokens_total", "queue_wait_seconds",
		"request_duration_seconds", "requests_finished_total", "requests_running", "requests_waiting", "sleep_state",
		"startup_seconds", "step_tokens", "steps_total", "time_per_output_token_seconds", "time_to_first_token_seconds",
	}
}

// How often an engine's metrics may be fetched.
const (
	minFetch = minInterval
	maxFetch = model.Duration(10 * time.Minute)
)

var metricPattern = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

// engine checks where an engine's own metrics are read.
func (v *validator) engine(e *Engine, at *node) {
	if e == nil || at == nil {
		return
	}
	if u := at.get("metrics_url"); u != nil {
		if err := checkMetricsURL(u.text); err != nil && !(v.template && strings.HasPrefix(u.text, "/")) {
			v.must(false, u, "%v", err)
		}
	}
	v.must(slices.Contains(EngineKinds(), e.Kind), at.get("kind"), "unknown kind %q%s", e.Kind, didYouMean(e.Kind, EngineKinds()))
	v.must(e.Interval >= minFetch, at.get("interval"), "interval %s is shorter than %s", e.Interval, minFetch)
	v.must(e.Interval <= maxFetch, at.get("interval"), "interval %s is longer than %s", e.Interval, maxFetch)
	v.positive(at, "timeout")
	if at.get("interval") != nil || !at.has("interval") {
		v.must(e.Timeout <= e.Interval, at.get("timeout"), "timeout %s is longer than interval, which is %s", e.Timeout, e.Interval)
	}
	v.must(e.Kind != EngineCustom || len(e.Custom) > 0 || at.has("custom") && at.get("custom") == nil, at.get("kind"), "the kind custom reads what custom names, which is missing")
	v.matched(at.get("match"))
	v.custom(e, at.get("custom"))
	v.http(at.get("http"))
}

func (v *validator) custom(e *Engine, at *node) {
	if at == nil {
		return
	}
	for _, metric := range at.children {
		if metric.bad {
			continue
		}
		name := metric.key.text
		known := slices.Contains(EngineMetrics(), name)
		v.must(known, metric.key, "there is no metric llm_engine_%s%s", name, didYouMean(name, EngineMetrics()))
		m := e.Custom[name]
		v.must(metricPattern.MatchString(m.Metric), metric.get("metric"), "a metric's name has only letters, digits, _ and :, and begins with no digit")
		v.must(m.Scale > 0, metric.get("scale"), "scale is above 0; leave it out for values as they are")
		v.matched(metric.get("match"))
	}
}

// matched checks the labels that series of an engine must have.
func (v *validator) matched(n *node) {
	for _, value := range n.sound() {
		v.must(labelPattern.MatchString(value.key.text), value.key, "a label's name begins with a letter or underscore and has only letters, digits and _")
	}
}

// engineDefaults completes an engine; as written, with what is only known from the file.
func engineDefaults(e *Engine, at *node, written bool) {
	set(&e.Kind, EngineAuto)
	set(&e.Interval, model.Duration(15*time.Second))
	set(&e.Timeout, min(model.Duration(5*time.Second), e.Interval))
	if !written {
		return
	}
	for name, m := range e.Custom {
		if !at.get("custom").get(name).has("scale") {
			m.Scale = 1
		}
		e.Custom[name] = m
	}
	httpDefaults(&e.HTTP, at.get("http"))
}

var gpuPattern = regexp.MustCompile(`^(GPU|MIG)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$|^MIG-GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/[0-9]+/[0-9]+$`)

// gpus checks the UUIDs of a target's GPUs.
func (v *validator) gpus(n *node) {
	if n == nil {
		return
	}
	seen := map[string]bool{}
	for i := range n.children {
		item := n.item(i)
		if item == nil {
			continue
		}
		v.must(gpuPattern.MatchString(item.text), item, "not the UUID of a GPU or a MIG device, as nvidia-smi -L lists them: an index can change from boot to boot")
		v.must(!seen[item.text], item, "the GPU is listed twice")
		seen[item.text] = true
	}
}
