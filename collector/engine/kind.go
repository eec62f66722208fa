package engine

import (
	"bytes"
	"slices"
)

// Kind is a serving engine, or something that speaks for engines.
type Kind string

// The kinds.
const (
	KindAuto     Kind = "auto" // whatever the page is recognised as, anew with each page
	KindVLLM     Kind = "vllm"
	KindSGLang   Kind = "sglang"
	KindTGI      Kind = "tgi"
	KindLlamaCPP Kind = "llamacpp"
	KindTRTLLM   Kind = "trtllm"
	KindTriton   Kind = "triton"
	KindLMDeploy Kind = "lmdeploy"
	KindDynamo   Kind = "dynamo" // the frontend; a worker's page is that of its engine
	KindNIM      Kind = "nim"    // NIM 1.x; later ones show the page of the engine inside
	KindRay      Kind = "ray"    // vLLM as Ray's agents show it
	KindCustom   Kind = "custom" // nothing but what Options.Custom names
)

// Kinds lists the kinds that can be asked for.
func Kinds() []Kind { return append([]Kind{KindAuto}, append(engineKinds(), KindCustom)...) }

// engineKinds are those that have rules of their own, in the order in which a page is tried. Where one page could be several:
// a frontend comes before the engines whose metrics it passes on, and an engine before Triton, which may run it.
func engineKinds() []Kind {
	return []Kind{KindDynamo, KindVLLM, KindSGLang, KindTRTLLM, KindLMDeploy, KindTGI, KindLlamaCPP, KindRay, KindTriton, KindNIM}
}

func kindNames() []string {
	var names []string
	for _, k := range append(engineKinds(), KindCustom) {
		names = append(names, string(k))
	}
	slices.Sort(names)
	return names
}

// proofs are families of which one is enough to know a kind by. They are what an engine counts about requests and nobody else
// does under that name: the prefix alone proves nothing, for routers and simulators use it for numbers of their own.
func proofs(k Kind) []string {
	names := func(prefix string, names ...string) []string {
		for i := range names {
			names[i] = prefix + names[i]
		}
		return names
	}
	vllm := []string{
		"request_queue_time_seconds", "time_to_first_token_seconds", "e2e_request_latency_seconds", "iteration_tokens_total",
		"prompt_tokens_total", "generation_tokens_total", "request_success_total", "kv_cache_usage_perc", "gpu_cache_usage_perc",
	}
	switch k {
	case KindDynamo:
		return names("dynamo_frontend_", "requests_total", "active_requests", "inflight_requests", "stage_requests",
			"time_to_first_token_seconds", "request_duration_seconds", "output_tokens_total")
	case KindVLLM:
		return names("vllm:", vllm...)
	case KindRay:
		return names("ray_vllm_", vllm...)
	case KindSGLang:
		return names("sglang:", "num_running_reqs", "num_queue_reqs", "token_usage", "queue_time_seconds", "prompt_tokens_total",
			"time_to_first_token_seconds", "num_requests_total")
	case KindTRTLLM:
		both := []string{"request_success_total", "time_to_first_token_seconds", "request_queue_time_seconds", "num_requests_running"}
		return append(names("trtllm:", slices.Clone(both)...), names("trtllm_", both...)...)
	case KindLMDeploy:
		return names("lmdeploy:", "num_requests_running", "request_queue_time_seconds", "prompt_tokens_total", "gpu_cache_usage_perc")
	case KindTGI:
		return names("tgi_", "queue_size", "batch_current_size", "request_count", "request_duration", "request_queue_duration", "batch_current_max_tokens")
	case KindLlamaCPP:
		return names("llamacpp:", "requests_processing", "prompt_tokens_total", "tokens_predicted_total")
	case KindTriton:
		return names("nv_", "inference_request_success", "inference_pending_request_count", "trt_llm_request_metrics")
	case KindNIM:
		return nil // see detect: names without a prefix prove nothing one by one
	}
	return nil
}

// nimProofs are what a page of NIM 1.x has together, and no other page known has at all: these names without a prefix.
func nimProofs() []string {
	return []string{"num_requests_running", "num_requests_waiting", "gpu_cache_usage_perc"}
}

// detect says what a page is of, and why not where it is of no engine.
func detect(p *page, data []byte) (Kind, error) {
	if err := router(p); err != nil {
		return "", err
	}
	for _, k := range engineKinds() {
		if slices.ContainsFunc(proofs(k), p.has) {
			return k, nil
		}
	}
	if !slices.ContainsFunc(nimProofs(), func(name string) bool { return !p.has(name) }) {
		return KindNIM, nil
	}
	return "", stranger(data)
}

// has reports whether a page has a family, if only announced.
func (p *page) has(name string) bool { return p.families[name] != nil }

// routerProofs are families that vLLM's production-stack router has and vLLM has not.
func routerProofs() []string { return []string{"vllm:current_qps", "vllm:healthy_pods_total"} }

// router tells the router of vLLM's production stack from vLLM: it repeats the gauges of its servers, and labels them so.
func router(p *page) error {
	servers := slices.ContainsFunc(routerProofs(), p.has)
	for _, name := range []string{"vllm:num_requests_running", "vllm:num_requests_waiting"} {
		if f := p.families[name]; f != nil {
			servers = servers || slices.ContainsFunc(f.series, func(s series) bool {
				_, ok := s.labels.get("server")
				return ok
			})
		}
	}
	if servers {
		return fail(reasonNotAnEngine, "this is the page of vLLM's production-stack router: point metrics_url at a server behind it")
	}
	return nil
}

// stranger says what a page is of that is of no engine known here.
func stranger(data []byte) error {
	for _, known := range []struct{ prefix, what string }{
		{"litellm_", "LiteLLM's proxy"},
		{"gen_ai_", "an AI gateway (OpenTelemetry's gen_ai metrics)"},
		{"inference_extension_", "an inference gateway's endpoint picker"},
		{"inference_pool_", "an inference gateway's endpoint picker"},
		{"inference_objective_", "an inference gateway's endpoint picker"},
		{"sgl_router_", "SGLang's router"},
		{"dynamo_component_", "a Dynamo component without an engine's metrics"},
		{"ray_serve_", "Ray Serve without an engine's metrics"},
	} {
		if bytes.HasPrefix(data, []byte(known.prefix)) || bytes.Contains(data, []byte("\n"+known.prefix)) {
			return fail(reasonNotAnEngine, "this is the page of %s: point metrics_url at the engine itself", known.what)
		}
	}
	return fail(reasonUnrecognised, "no families of an engine known here: name them under custom, or check that the engine's metrics are on")
}

// recognise says what a page is of, for an engine that was said to be of kind asked and was last known as kind last.
func recognise(p *page, data []byte, asked, last Kind) (Kind, error) {
	if p.samples == 0 && len(p.families) == 0 {
		// Engines that make series as they observe have nothing to say at first. It says nothing about the kind either.
		switch {
		case asked != KindAuto:
			return asked, nil
		case last != "":
			return last, nil
		}
	}
	if asked == KindAuto {
		return detect(p, data)
	}
	if err := router(p); err != nil && asked != KindCustom {
		return "", err
	}
	return asked, nil
}

// looksLike adds to an error what a page is of, where that is not the kind that was asked for.
func looksLike(err error, p *page, data []byte, asked Kind) error {
	if is, other := detect(p, data); other == nil && is != asked {
		return fail(reasonUnrecognised, "%w: it looks like one of %s", err, is)
	}
	return err
}
