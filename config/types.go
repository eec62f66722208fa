package config

import (
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

// The comments on the types and fields below are the configuration reference: docs/configuration.md and the
// descriptions in schema.json are made of them. A field without omitempty must be written in every file.
// JSON names equal YAML names.

// Config is one configuration file, decoded, completed with defaults and checked.
// It is never changed after Load or Parse returned it.
type Config struct {
	// What applies to all targets and probes that do not say otherwise.
	Global Global `yaml:"global,omitempty" json:"global,omitzero"`

	// The request shapes, by name. A name begins with a letter or underscore and has letters, digits, `_`, `.` and `-`, 64 at most.
	Probes map[string]*Probe `yaml:"probes" json:"probes"`

	// What is probed.
	Targets []*Target `yaml:"targets" json:"targets"`

	// What is promised of the targets. Each objective counts its good and bad requests.
	Objectives []*Objective `yaml:"objectives,omitempty" json:"objectives,omitempty"`

	warnings ErrorList
}

// Global holds what applies to all targets and probes that do not say otherwise.
type Global struct {
	// How long a whole request may take, from its dispatch to the end of the answer. At most 1h.
	Timeout model.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`

	// How long the name look-up, the TCP and the TLS handshake may take together. At most `timeout`.
	ConnectTimeout model.Duration `yaml:"connect_timeout,omitempty" json:"connect_timeout,omitempty"`

	// How long the first token of a streamed answer may take, from the dispatch on. At most `timeout`, which is the default.
	FirstTokenTimeout model.Duration `yaml:"first_token_timeout,omitempty" json:"first_token_timeout,omitempty"`

	// How long a stream may be silent between two events after its first token. At most `timeout`, which is the default.
	IdleTimeout model.Duration `yaml:"idle_timeout,omitempty" json:"idle_timeout,omitempty"`

	// Labels on the series of every target. A target's own label of the same name wins.
	Labels map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`

	// How many requests may be under way at once, over all targets.
	MaxInFlight int `yaml:"max_in_flight,omitempty" json:"max_in_flight,omitempty"`

	// How late the prober itself may be, in sending or in reading, before a measurement is marked as degraded.
	DegradedAfter model.Duration `yaml:"degraded_after,omitempty" json:"degraded_after,omitempty"`
}

// Probe is a named request shape.
// In a loaded configuration all its fields are final: what the file leaves out holds the default or the value of global.
type Probe struct {
	// The length of the prompt in tokens: a number such as `400`, or a range such as `20-60` from which each request draws evenly.
	PromptTokens Range `yaml:"prompt_tokens" json:"prompt_tokens"`

	// How many tokens at the start of the prompt are the same in every request, for servers that cache prefixes.
	// At most the shortest prompt. With 0 each prompt begins with a line of its own, so that nothing can be cached.
	SharedPrefixTokens int `yaml:"shared_prefix_tokens,omitempty" json:"shared_prefix_tokens,omitempty"`

	// How many tokens the answer may have. At least 1.
	MaxOutputTokens int `yaml:"max_output_tokens" json:"max_output_tokens"`

	// How many tokens the answer must have, for engines that can be made to go on. At most `max_output_tokens`. 0 leaves it to the model.
	MinOutputTokens int `yaml:"min_output_tokens,omitempty" json:"min_output_tokens,omitempty"`

	// Whether the answer is streamed. Only a streamed answer has a time to first token.
	Stream *bool `yaml:"stream,omitempty" json:"stream,omitempty"`

	// How often each target is asked. At least 1s.
	Interval model.Duration `yaml:"interval" json:"interval"`

	// The largest random delay that is added to each tick of the interval. Below half the interval.
	Jitter model.Duration `yaml:"jitter,omitempty" json:"jitter,omitempty"`

	// Whether each request opens a connection of its own (`fresh`) or may use an open one (`reuse`).
	Connection string `yaml:"connection,omitempty" json:"connection,omitempty"`

	// How long a whole request may take. At most 1h. Where it is left out, global's applies.
	Timeout model.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`

	// How long the connection may take. At most `timeout`. Where it is left out, global's applies, cut to `timeout`.
	ConnectTimeout model.Duration `yaml:"connect_timeout,omitempty" json:"connect_timeout,omitempty"`

	// How long the first token may take. At most `timeout`. Where it is left out, global's applies, cut to `timeout`; without one there, `timeout`.
	FirstTokenTimeout model.Duration `yaml:"first_token_timeout,omitempty" json:"first_token_timeout,omitempty"`

	// How long a stream may be silent. At most `timeout`. Where it is left out, global's applies, cut to `timeout`; without one there, `timeout`.
	IdleTimeout model.Duration `yaml:"idle_timeout,omitempty" json:"idle_timeout,omitempty"`

	// The sampling temperature, 0 to 2. The server's own if it is left out, which may differ from model to model.
	Temperature *float64 `yaml:"temperature,omitempty" json:"temperature,omitempty"`

	// The share of the likeliest tokens that are sampled from, above 0 and up to 1. The server's own if it is left out.
	TopP *float64 `yaml:"top_p,omitempty" json:"top_p,omitempty"`

	// The seed of the sampling. With one seed and one prompt a server may answer alike; the prompts differ all the same.
	Seed *int64 `yaml:"seed,omitempty" json:"seed,omitempty"`

	// Go on up to `max_output_tokens` whatever the model says, so that all answers are of one length (vLLM, SGLang, llama.cpp, TensorRT-LLM, LMDeploy).
	IgnoreEOS bool `yaml:"ignore_eos,omitempty" json:"ignore_eos,omitempty"`

	// Keeps the prefix caches of requests with different salts apart (vLLM, SGLang).
	CacheSalt string `yaml:"cache_salt,omitempty" json:"cache_salt,omitempty"`

	// How much a reasoning model may think, in the server's words: `none`, `minimal`, `low`, `medium`, `high` and others.
	ReasoningEffort string `yaml:"reasoning_effort,omitempty" json:"reasoning_effort,omitempty"`

	// The functions that the model may call.
	Tools []*Tool `yaml:"tools,omitempty" json:"tools,omitempty"`

	// Whether a function is called: `auto`, `none`, `required`, or the name of the one that must be. The server's own if it is left out, which is mostly `auto`.
	ToolChoice string `yaml:"tool_choice,omitempty" json:"tool_choice,omitempty"`

	// The form that the answer must have.
	ResponseFormat *ResponseFormat `yaml:"response_format,omitempty" json:"response_format,omitempty"`

	// Further fields of the request's body, by name. They win over the prober's own: a mapping goes into one of the same name,
	// `null` takes a field away, anything else stands as it is. They are shown with the configuration: no place for secrets.
	ExtraBody map[string]JSON `yaml:"extra_body,omitempty" json:"extra_body,omitempty"`

	// What the answer must be. One that is not has the outcome `content_mismatch`.
	Expect Expect `yaml:"expect,omitempty" json:"expect,omitzero"`

	// What share of the users has given up by a time to first token, the shortest time first. Between two times, and between none
	// and the first, the share is taken to grow evenly; after the last one it stays.
	Abandonment []Abandonment `yaml:"abandonment,omitempty" json:"abandonment,omitempty"`
}

// Tool is one function that the model may call, in the shape of OpenAI's chat completions; each protocol has it in its own.
type Tool struct {
	// What it is: a `function`. Tools of a server's own kinds go into `extra_body`.
	Type string `yaml:"type,omitempty" json:"type,omitempty"`

	// The function.
	Function Function `yaml:"function" json:"function"`
}

// Function is what a tool calls.
type Function struct {
	// The name: letters, digits, `_` and `-`, 64 at most. No two tools of a probe share one.
	Name string `yaml:"name" json:"name"`

	// What it does, for the model to read.
	Description string `yaml:"description,omitempty" json:"description,omitempty"`

	// The JSON schema of its arguments: a mapping. Without one it takes none.
	Parameters JSON `yaml:"parameters,omitempty" json:"parameters,omitempty"`

	// Whether the arguments must keep the schema.
	Strict *bool `yaml:"strict,omitempty" json:"strict,omitempty"`
}

// ResponseFormat is the form that an answer must have, in the shape of OpenAI's chat completions.
type ResponseFormat struct {
	// `text`, `json_object` or `json_schema`. Others go into `extra_body`.
	Type string `yaml:"type" json:"type"`

	// The schema, with the type `json_schema`.
	JSONSchema *JSONSchema `yaml:"json_schema,omitempty" json:"json_schema,omitempty"`
}

// JSONSchema is the schema of an answer.
type JSONSchema struct {
	// The name of the schema, which some servers demand.
	Name string `yaml:"name" json:"name"`

	// What the answer is, for the model to read.
	Description string `yaml:"description,omitempty" json:"description,omitempty"`

	// The JSON schema: a mapping.
	Schema JSON `yaml:"schema" json:"schema"`

	// Whether the answer must keep the schema.
	Strict *bool `yaml:"strict,omitempty" json:"strict,omitempty"`
}

// Expect says what an answer must be. What is left out is not looked at, and neither is the model's reasoning.
type Expect struct {
	// Texts, each of which must be in the answer, to the letter.
	Contains []string `yaml:"contains,omitempty" json:"contains,omitempty"`

	// A regular expression that must match somewhere in the answer, as Go writes them. `(?i)` ignores case, `(?s)` lets `.` match line ends.
	Regexp Regexp `yaml:"regexp,omitempty" json:"regexp,omitempty"`

	// Whether the answer must be one JSON document.
	JSON bool `yaml:"json,omitempty" json:"json,omitempty"`

	// The name of the function that must be called, or `*` for any.
	ToolCalled string `yaml:"tool_called,omitempty" json:"tool_called,omitempty"`
}

// Abandonment is a point of the curve of users who give up.
type Abandonment struct {
	// The time to the first token. Longer than 0, and than that of the point before.
	TTFT model.Duration `yaml:"ttft" json:"ttft"`

	// The share of users who have given up by then, 0 to 1. At least that of the point before.
	Share float64 `yaml:"share" json:"share"`
}

// Target is one endpoint, protocol and model that is probed.
type Target struct {
	// The name of the target, the value of its `target` label. As probes' names are; no two targets share one.
	Name string `yaml:"name" json:"name"`

	// The base URL, as SDKs of the protocol take it: `http://host:8000/v1`. It has no user, password, query or fragment.
	URL string `yaml:"url" json:"url"`

	// How the endpoint is spoken to.
	Protocol string `yaml:"protocol,omitempty" json:"protocol,omitempty"`

	// The dated version of Azure's API, with the protocol azure_openai. 2024-10-21 if it is left out.
	APIVersion string `yaml:"api_version,omitempty" json:"api_version,omitempty"`

	// The model to ask for, as the endpoint names it. It is the value of the `model` label.
	Model string `yaml:"model" json:"model"`

	// The names of the probes that are run against the target, each once. An empty list probes nothing.
	Probes []string `yaml:"probes" json:"probes"`

	// Labels on the series of this target.
	Labels map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`

	// How many requests may be under way to this target at once.
	MaxInFlight int `yaml:"max_in_flight,omitempty" json:"max_in_flight,omitempty"`

	// What probing may cost this target.
	Budget Budget `yaml:"budget,omitempty" json:"budget,omitzero"`

	// Headers that are sent with each request, such as `X-Api-Key`. Their values are secret and may hold `${NAME}`.
	Headers map[string]Secret `yaml:"headers,omitempty" json:"headers,omitempty"`

	// The HTTP client: credentials, TLS, proxy.
	HTTP HTTPClientConfig `yaml:"http,omitempty" json:"http,omitzero"`

	// The field that caps the answer, with the chat protocols of OpenAI: `max_tokens`, or `max_completion_tokens` for OpenAI's reasoning models, which refuse the other one.
	MaxTokensField string `yaml:"max_tokens_field,omitempty" json:"max_tokens_field,omitempty"`

	// Ask for a count of tokens on each chunk, so that the time of each token is known (vLLM, SGLang).
	ContinuousUsage bool `yaml:"continuous_usage,omitempty" json:"continuous_usage,omitempty"`

	// Ask for the ids of the tokens on each chunk, which count them as well (vLLM).
	ReturnTokenIDs bool `yaml:"return_token_ids,omitempty" json:"return_token_ids,omitempty"`

	// Further fields of every request's body, by name, as in probes. Of two with one name the target's wins.
	ExtraBody map[string]JSON `yaml:"extra_body,omitempty" json:"extra_body,omitempty"`

	// The serving engine behind the target, whose own metrics are read.
	Engine *Engine `yaml:"engine,omitempty" json:"engine,omitempty"`

	// The UUIDs of the GPUs, or MIG devices, that serve the target, as `nvidia-smi -L` lists them. The series `llm_target_gpu_info` join the target's series with theirs.
	GPUs []string `yaml:"gpus,omitempty" json:"gpus,omitempty"`

	// What the target's tokens, or its hours, cost.
	Price *Price `yaml:"price,omitempty" json:"price,omitempty"`
}

// Budget bounds what probing may cost a target.
type Budget struct {
	// How many output tokens per hour may be asked for. 0 is no bound.
	OutputTokensPerHour int `yaml:"output_tokens_per_hour,omitempty" json:"output_tokens_per_hour,omitempty"`

	// How many requests per minute may be sent. 0 is no bound.
	RequestsPerMinute int `yaml:"requests_per_minute,omitempty" json:"requests_per_minute,omitempty"`
}

// Engine is the serving software behind a target.
type Engine struct {
	// Where its metrics are: `http://host:8000/metrics`. TensorRT-LLM has them under /prometheus/metrics. One engine, not a load balancer before several.
	MetricsURL string `yaml:"metrics_url" json:"metrics_url"`

	// Which engine it is, of those listed above. With `auto` it is recognised by its metrics; with `custom` only those under `custom` are read.
	Kind string `yaml:"kind,omitempty" json:"kind,omitempty"`

	// How often its metrics are fetched, 1s to 10m. Engines in Python write them on the thread that serves requests: more often disturbs what is measured.
	Interval model.Duration `yaml:"interval,omitempty" json:"interval,omitempty"`

	// How long a fetch may take. At most `interval`.
	Timeout model.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`

	// The labels that the engine's series must have, with their values, for a page that speaks of several models: `{model_name: a}`. Series without such a label are read all the same.
	Match map[string]string `yaml:"match,omitempty" json:"match,omitempty"`

	// Where to find what is not found by itself, by the name of our metric, of those listed above. It takes the place of what the kind would read.
	Custom map[string]EngineMetric `yaml:"custom,omitempty" json:"custom,omitempty"`

	// Whether pages may be fetched that are empty for everybody else afterwards, as those of TensorRT-LLM's /metrics and /perf_metrics are.
	DestructiveReads bool `yaml:"destructive_reads,omitempty" json:"destructive_reads,omitempty"`

	// The HTTP client for the metrics: credentials, TLS, proxy. The target's own is not used.
	HTTP HTTPClientConfig `yaml:"http,omitempty" json:"http,omitzero"`
}

// EngineMetric is a metric of an engine.
type EngineMetric struct {
	// Its name on the engine's page.
	Metric string `yaml:"metric" json:"metric"`

	// The labels that its series must have, with their values. Several series are added up.
	Match map[string]string `yaml:"match,omitempty" json:"match,omitempty"`

	// What its values are multiplied by to be seconds, tokens or ratios: 0.001 for milliseconds. Above 0.
	Scale float64 `yaml:"scale,omitempty" json:"scale,omitempty"`
}

// Price is what a target costs: by the token, or by the hour where the hardware is one's own.
type Price struct {
	// One million prompt tokens.
	Input *float64 `yaml:"input,omitempty" json:"input,omitempty"`

	// One million prompt tokens that the server answered from a prefix cache. At most `input`, which is the default.
	CachedInput *float64 `yaml:"cached_input,omitempty" json:"cached_input,omitempty"`

	// One million output tokens, reasoning included.
	Output *float64 `yaml:"output,omitempty" json:"output,omitempty"`

	// One hour of the target, all its GPUs together. It is exported as it is: what a token costs then depends on the target's load.
	PerHour *float64 `yaml:"per_hour,omitempty" json:"per_hour,omitempty"`

	// The currency, as ISO 4217 writes it: `USD`.
	Currency string `yaml:"currency" json:"currency"`
}

// Objective is a promise: of the requests of one probe to one target, a share is good.
// A failed request is bad; one that was canceled or skipped counts nowhere.
type Objective struct {
	// The name of the objective, the value of its `objective` label. As probes' names are; no two objectives share one.
	Name string `yaml:"name" json:"name"`

	// The name of the target.
	Target string `yaml:"target" json:"target"`

	// The name of the probe, one of the target's.
	Probe string `yaml:"probe" json:"probe"`

	// What is judged: `ttft`, `duration`, `tpot` (time per output token), `output_tokens_per_second`, `queue_wait` or `availability`. A request of which it is not known does not count.
	Indicator string `yaml:"indicator" json:"indicator"`

	// The bound of a good request: a duration such as `800ms` that it takes at most, or for `output_tokens_per_second` a number that it reaches at least. None for `availability`.
	Threshold Threshold `yaml:"threshold,omitempty" json:"threshold,omitzero"`

	// The share of requests that are to be good, between 0 and 1: `0.99`.
	Goal float64 `yaml:"goal" json:"goal"`
}

// HTTPClientConfig is Prometheus' own, with redirects and HTTP/2 off unless the file turns them on.
// Its values print their secrets when formatted by themselves: print the Target.
type HTTPClientConfig = commoncfg.HTTPClientConfig
