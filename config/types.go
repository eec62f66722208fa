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

	// What is probed. It may be left out where targets come from outside.
	Targets []*Target `yaml:"targets" json:"targets" unless:"target_files,http_sd"`

	// Targets from files, as Prometheus' file_sd reads them. They come and go as the files change, without a reload.
	TargetFiles []*TargetFiles `yaml:"target_files,omitempty" json:"target_files,omitempty"`

	// Targets from web servers, as Prometheus' http_sd fetches them. They come and go without a reload.
	HTTPSD []*HTTPSD `yaml:"http_sd,omitempty" json:"http_sd,omitempty"`

	// What is promised of the targets. Each objective counts its good and bad requests.
	Objectives []*Objective `yaml:"objectives,omitempty" json:"objectives,omitempty"`

	// Load runs, by schedule or by hand.
	Ramps []*Ramp `yaml:"ramps,omitempty" json:"ramps,omitempty"`

	// Which addresses may be probed by asking for `/probe?target=ADDRESS`. Without it none.
	ProbeOnDemand *ProbeOnDemand `yaml:"probe_on_demand,omitempty" json:"probe_on_demand,omitempty"`

	warnings ErrorList
	own      int // of Targets, those of the file itself, which come first; see WithTargets
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

	// How late the prober itself may be, in sending or in reading, before a measurement is marked as degraded. A stage of a ramp of which more than one request in a hundred was sent later is invalid.
	DegradedAfter model.Duration `yaml:"degraded_after,omitempty" json:"degraded_after,omitempty"`

	// What all targets together may cost, ramps included.
	Budget GlobalBudget `yaml:"budget,omitempty" json:"budget,omitzero"`
}

// GlobalBudget bounds what all requests together may cost. What is over it is skipped, and counted.
type GlobalBudget struct {
	// How many output tokens per hour may be asked for. 0 is no bound.
	OutputTokensPerHour int `yaml:"output_tokens_per_hour,omitempty" json:"output_tokens_per_hour,omitempty"`

	// How many requests per minute may be sent. 0 is no bound.
	RequestsPerMinute int `yaml:"requests_per_minute,omitempty" json:"requests_per_minute,omitempty"`

	// What may be spent per day, by currency: `{USD: 5}`. It counts the targets that have a price by the token in that currency.
	CostPerDay map[string]float64 `yaml:"cost_per_day,omitempty" json:"cost_per_day,omitempty"`
}

// Probe is a named request shape.
// In a loaded configuration all its fields are final: what the file leaves out holds the default or the value of global.
type Probe struct {
	// The length of the prompt in tokens: a number such as `400`, or a range such as `20-60` from which each request draws evenly.
	PromptTokens Range `yaml:"prompt_tokens,omitempty" json:"prompt_tokens,omitzero" unless:"prompts"`

	// How many tokens at the start of the prompt are the same in every request, for servers that cache prefixes.
	// At most the shortest prompt. With 0 each prompt begins with a line of its own, so that nothing can be cached.
	SharedPrefixTokens int `yaml:"shared_prefix_tokens,omitempty" json:"shared_prefix_tokens,omitempty"`

	// Requests of your own instead of generated ones, from a file. Then there is no `prompt_tokens`, `shared_prefix_tokens`, `turns` or `instruction`.
	Prompts *Prompts `yaml:"prompts,omitempty" json:"prompts,omitempty"`

	// What each generated prompt ends with, as a line of its own, so that answers can be checked: `Answer with the word yes.` It is a part of the prompt's length.
	Instruction string `yaml:"instruction,omitempty" json:"instruction,omitempty"`

	// How many questions a conversation has, 2 to 50. Each carries all that was said before, and follows the answer without a pause;
	// `prompt_tokens` is the length of the first, and each later one is a tenth of it. Left out, there is one question. It needs a protocol for chats.
	Turns int `yaml:"turns,omitempty" json:"turns,omitempty"`

	// How many tokens the answer may have. At least 1. Of a recorded request that has a cap of its own the smaller one counts.
	MaxOutputTokens int `yaml:"max_output_tokens" json:"max_output_tokens"`

	// How many tokens the answer must have, for engines that can be made to go on. At most `max_output_tokens`. 0 leaves it to the model.
	MinOutputTokens int `yaml:"min_output_tokens,omitempty" json:"min_output_tokens,omitempty"`

	// Whether the answer is streamed. Only a streamed answer has a time to first token.
	Stream *bool `yaml:"stream,omitempty" json:"stream,omitempty"`

	// How often each target is asked. At least 1s.
	Interval model.Duration `yaml:"interval,omitempty" json:"interval,omitempty" unless:"burst"`

	// Several requests at once after a silence, instead of an `interval`: what scaling from zero and cold batches cost.
	Burst *Burst `yaml:"burst,omitempty" json:"burst,omitempty"`

	// Asking again after a failure, as users' clients do. Each attempt is counted by itself. Without it there is one attempt.
	Retry *Retry `yaml:"retry,omitempty" json:"retry,omitempty"`

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

// Prompts is a file of requests.
type Prompts struct {
	// The file: a JSON object on each line, or one JSON list of them. These load as they are: `{"messages": [...], "max_output_tokens": 64, "weight": 2}`,
	// the last two of which may be left out; batch files of OpenAI's; conversations of ShareGPT's.
	File string `yaml:"file" json:"file"`

	// Whether the rest of a file is used of which some lines cannot be. Otherwise such a file is a mistake. Either way the lines are named.
	SkipBadLines bool `yaml:"skip_bad_lines,omitempty" json:"skip_bad_lines,omitempty"`
}

// Burst is several requests at once after a silence.
type Burst struct {
	// How many requests go out together, 1 to 1000.
	Size int `yaml:"size" json:"size"`

	// How long the probe is silent before. At least 1s. It counts from the end of the burst before.
	AfterIdle model.Duration `yaml:"after_idle" json:"after_idle"`
}

// Retry is how often and when a request is asked again. A `Retry-After` of the server's is kept, where it is longer than the wait would be.
type Retry struct {
	// How many attempts there are, the first included: 2 to 10.
	Attempts int `yaml:"attempts" json:"attempts"`

	// After what there is another one: codes of HTTP such as `429`, and outcomes, of those listed above. `[429, 503, connect]` if it is left out.
	On []RetryOn `yaml:"on,omitempty" json:"on,omitempty"`

	// The wait before the second attempt. It doubles with each one.
	Backoff model.Duration `yaml:"backoff,omitempty" json:"backoff,omitempty"`

	// The longest wait. A `Retry-After` that asks for more ends the request.
	MaxBackoff model.Duration `yaml:"max_backoff,omitempty" json:"max_backoff,omitempty"`
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

	TargetSettings `yaml:",inline"`
}

// TargetSettings is what may be said of a target, whether it stands in the file or comes from outside.
type TargetSettings struct {
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

	// What may be spent per day, in the currency of the target's `price`, which must be by the token. 0 is no bound.
	CostPerDay float64 `yaml:"cost_per_day,omitempty" json:"cost_per_day,omitempty"`
}

// TargetTemplate is what targets from outside have in common. What is found with a target itself wins.
type TargetTemplate struct {
	// How the endpoints are spoken to, where the label `__protocol` does not say.
	Protocol string `yaml:"protocol,omitempty" json:"protocol,omitempty"`

	// The dated version of Azure's API, with the protocol azure_openai. 2024-10-21 if it is left out.
	APIVersion string `yaml:"api_version,omitempty" json:"api_version,omitempty"`

	// The model to ask for, where the label `__model` does not say.
	Model string `yaml:"model,omitempty" json:"model,omitempty"`

	// The names of the probes that are run, where the label `__probes` does not say.
	Probes []string `yaml:"probes,omitempty" json:"probes,omitempty"`

	TargetSettings `yaml:",inline"`
}

// TargetFiles is files with targets.
type TargetFiles struct {
	// The value of the `source` label of the metrics about these files. No two sources share one. By default `files_1` for the first, and so on.
	Name string `yaml:"name,omitempty" json:"name,omitempty"`

	// The names of the files, which end in .json, .yml or .yaml. The last part may hold `*`, as in `targets/*.json`.
	Files []string `yaml:"files" json:"files"`

	// How often the files are read. At least 1s.
	RefreshInterval model.Duration `yaml:"refresh_interval,omitempty" json:"refresh_interval,omitempty"`

	// What the targets have in common.
	Template TargetTemplate `yaml:"template,omitempty" json:"template,omitzero"`

	// How many targets are taken at most. A list with more is not used.
	MaxTargets int `yaml:"max_targets,omitempty" json:"max_targets,omitempty"`
}

// HTTPSD is a web server that lists targets.
type HTTPSD struct {
	// The value of the `source` label of the metrics about this server. No two sources share one. By default `http_1` for the first, and so on.
	Name string `yaml:"name,omitempty" json:"name,omitempty"`

	// Where the list is: JSON as Prometheus' http_sd has it.
	URL string `yaml:"url" json:"url"`

	// How often it is fetched. At least 1s. A fetch takes a fifth of it at most, and 10s.
	RefreshInterval model.Duration `yaml:"refresh_interval,omitempty" json:"refresh_interval,omitempty"`

	// The HTTP client for the list: credentials, TLS, proxy.
	HTTP HTTPClientConfig `yaml:"http,omitempty" json:"http,omitzero"`

	// What the targets have in common.
	Template TargetTemplate `yaml:"template,omitempty" json:"template,omitzero"`

	// How many targets are taken at most. A list with more is not used.
	MaxTargets int `yaml:"max_targets,omitempty" json:"max_targets,omitempty"`
}

// ProbeOnDemand allows the prober to be asked for a probe of an address that no target has.
type ProbeOnDemand struct {
	// The beginnings of the URLs that may be asked for: scheme, host, port and path, as in `http://vllm:8000/v1`. The host may begin
	// with `*.` for any name below a domain, and may be a network in brackets, `http://[10.0.0.0/8]:8000`, for addresses in digits;
	// the port may be `*`.
	Allow []string `yaml:"allow" json:"allow"`

	// What such targets have in common: the protocol, the probes that may be asked for (all of the file, if none are named), credentials.
	// Credentials go to whatever `allow` allows.
	Template TargetTemplate `yaml:"template,omitempty" json:"template,omitzero"`

	// How many such probes may be under way at once.
	MaxInFlight int `yaml:"max_in_flight,omitempty" json:"max_in_flight,omitempty"`
}

// Engine is the serving software behind a target.
type Engine struct {
	// Where its metrics are: `http://host:8000/metrics`. TensorRT-LLM has them under /prometheus/metrics. One engine, not a load balancer before several. In a template a path alone, such as `/metrics`, is that of each target's own host.
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

	// One hour of one GPU, instead of `per_hour`: times the number of `gpus`, which must be listed then.
	GPUHourCost *float64 `yaml:"gpu_hour_cost,omitempty" json:"gpu_hour_cost,omitempty"`

	// The currency, as ISO 4217 writes it: `USD`.
	Currency string `yaml:"currency" json:"currency"`
}

// Objective is a promise: of the requests of one probe to one target, a share is good.
// A failed request is bad; one that was canceled or skipped counts nowhere.
type Objective struct {
	// The name of the objective, the value of its `objective` label. As probes' names are; no two objectives share one.
	Name string `yaml:"name" json:"name"`

	// The name of the target, or `*` for each one that has the probe, those from outside included.
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

// Ramp is a load run: lanes of requests side by side, objectives that are to hold, limits that end it.
// What its lanes send counts in the budgets of their targets and of global.
type Ramp struct {
	// The name of the ramp, the value of its `ramp` label. As probes' names are; no two ramps share one.
	Name string `yaml:"name" json:"name"`

	// The name of the target, one of this file.
	Target string `yaml:"target" json:"target"`

	// When it runs: five fields of cron, as in `0 2 * * *`, or `@hourly`, `@daily`, `@weekly`, `@monthly`. Left out, it runs by hand and by API alone.
	Schedule Schedule `yaml:"schedule,omitempty" json:"schedule,omitempty"`

	// The time zone of `schedule` and `blackouts`, such as `Europe/Berlin`. On the day the clocks go forward, a time that they pass over is
	// the first instant after the gap; one that comes twice on the day they go back is kept once, unless the schedule names every hour.
	Timezone string `yaml:"timezone,omitempty" json:"timezone,omitempty"`

	// The largest random delay that is added to each time of the schedule.
	Jitter model.Duration `yaml:"jitter,omitempty" json:"jitter,omitempty"`

	// The times in which no run begins. One whose time comes in them is missed, and not made up for.
	Blackouts []*Blackout `yaml:"blackouts,omitempty" json:"blackouts,omitempty"`

	// The load by a name and a few numbers, for lanes without `stages`.
	Shape *Shape `yaml:"shape,omitempty" json:"shape,omitempty"`

	// The probes that are asked and their weights, for lanes without a `mix`. The probes need not be among the target's own.
	Mix map[string]float64 `yaml:"mix,omitempty" json:"mix,omitempty"`

	// The streams of requests, side by side. Left out, there is one, `main`; then `mix` and `shape` say what it does.
	Lanes []*Lane `yaml:"lanes,omitempty" json:"lanes,omitempty"`

	// How much of the beginning of each stage is not measured, where the stage does not say. A tenth of the stage if it is left out, and no more than 30s.
	Warmup *model.Duration `yaml:"warmup,omitempty" json:"warmup,omitempty"`

	// How long requests that are under way at the end may take to end. What has not ended then is canceled, and counted as failed.
	Drain model.Duration `yaml:"drain,omitempty" json:"drain,omitempty"`

	// How often the whole is run, one after the other, for a verdict on a set of runs. 1 to 100.
	Repeat int `yaml:"repeat,omitempty" json:"repeat,omitempty"`

	// The seed of arrivals and mixes, with which a run can be repeated exactly. Left out, each run has a new one, which its record names.
	Seed *int64 `yaml:"seed,omitempty" json:"seed,omitempty"`

	// Whether each request is written beside the record, with its timeline.
	Requests *bool `yaml:"requests,omitempty" json:"requests,omitempty"`

	// How often engine, GPUs and the other targets' probes are looked at during a run. 1s to 5m.
	SampleInterval model.Duration `yaml:"sample_interval,omitempty" json:"sample_interval,omitempty"`

	// What is to hold in every measured stage. The highest load at which all did is the knee.
	Objectives []*RampObjective `yaml:"objectives,omitempty" json:"objectives,omitempty"`

	// What ends a run at once.
	Abort Abort `yaml:"abort,omitempty" json:"abort,omitzero"`

	// What a run is compared with.
	Compare *Compare `yaml:"compare,omitempty" json:"compare,omitempty"`
}

// Blackout is a time of the day, on some days, in which no run of a ramp begins.
type Blackout struct {
	// Its beginning: `08:00`.
	From TimeOfDay `yaml:"from" json:"from"`

	// Its end, which is no part of it: `18:00`, or `24:00`. Earlier than `from`, it is one of the next day.
	To TimeOfDay `yaml:"to" json:"to"`

	// The days on which it begins: `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`. Every day if it is left out.
	Days []string `yaml:"days,omitempty" json:"days,omitempty"`

	// Its time zone. The ramp's if it is left out.
	Timezone string `yaml:"timezone,omitempty" json:"timezone,omitempty"`
}

// Lane is one stream of requests of a ramp, with its own load and its own statistics.
type Lane struct {
	// The name of the lane, the value of its `lane` label. As probes' names are; no two lanes of a ramp share one. The only lane of a ramp is `main` if it is left out.
	Name string `yaml:"name,omitempty" json:"name,omitempty"`

	// The name of the target that this lane asks. The ramp's if it is left out; another one may be another model on the same GPUs.
	Target string `yaml:"target,omitempty" json:"target,omitempty"`

	// The probes that are asked and their weights: `{interactive: 80, rag: 20}`. The ramp's if it is left out.
	Mix map[string]float64 `yaml:"mix,omitempty" json:"mix,omitempty"`

	// An open loop: when requests begin, whatever the server does. It is the default where loads are rates, as in `10/s`.
	Arrivals *Arrivals `yaml:"arrivals,omitempty" json:"arrivals,omitempty"`

	// A closed loop, instead of `arrivals`: how many requests are under way at the beginning; each that ends makes place for the next.
	// The loads of `stages` are plain numbers then.
	Concurrency int `yaml:"concurrency,omitempty" json:"concurrency,omitempty"`

	// How many requests of the lane may be under way. What would be more is shed, and counted. The bounds of targets and of global are for probes alone.
	MaxInFlight int `yaml:"max_in_flight,omitempty" json:"max_in_flight,omitempty"`

	// The load over time, one stage after the other. Each has one of `to`, `hold`, `step`, `spike` and `idle`. Without them the ramp's `shape` says it.
	Stages []*Stage `yaml:"stages,omitempty" json:"stages,omitempty"`

	// Headers of this lane, beside those of its target, of which they win over the ones of the same name: the credentials of a tenant.
	Headers map[string]Secret `yaml:"headers,omitempty" json:"headers,omitempty"`

	// The HTTP client of this lane, instead of its target's.
	HTTP *HTTPClientConfig `yaml:"http,omitempty" json:"http,omitempty"`
}

// Arrivals says when the requests of an open loop begin.
type Arrivals struct {
	// `constant`, `poisson` as of many independent users, `gamma` for bursts, or `trace` for times from a file.
	Process string `yaml:"process,omitempty" json:"process,omitempty"`

	// The rate at the beginning of the stages: `2/s`, `30/m`, `100/h`. Nothing if it is left out.
	Rate *Level `yaml:"rate,omitempty" json:"rate,omitempty"`

	// With `gamma`, its shape, at least 0.01: below 1 requests come in bursts, 1 is Poisson, above they are more even. As vLLM's benchmark has it.
	Burstiness float64 `yaml:"burstiness,omitempty" json:"burstiness,omitempty"`

	// With `trace`, the file: a time on each line, in seconds or as a date, or JSON with `timestamp` in milliseconds. Such a lane has no stages: it ends with the trace.
	File string `yaml:"file,omitempty" json:"file,omitempty"`

	// With `trace`, how many times as fast it is played. Above 0.
	Speed float64 `yaml:"speed,omitempty" json:"speed,omitempty"`
}

// Stage is one load of a lane. It has exactly one of `to`, `hold`, `step`, `spike` and `idle`.
type Stage struct {
	// Go to this load, evenly over the time `over`.
	To *Level `yaml:"to,omitempty" json:"to,omitempty"`

	// How long `to` takes. At once if it is left out.
	Over model.Duration `yaml:"over,omitempty" json:"over,omitempty"`

	// Stay at the load for so long.
	Hold model.Duration `yaml:"hold,omitempty" json:"hold,omitempty"`

	// Go to a load in steps, each of which is a stage of the record.
	Step *Step `yaml:"step,omitempty" json:"step,omitempty"`

	// Jump to a load, and back to the one before.
	Spike *Spike `yaml:"spike,omitempty" json:"spike,omitempty"`

	// Send nothing for so long. What follows begins at no load.
	Idle model.Duration `yaml:"idle,omitempty" json:"idle,omitempty"`

	// The name of the stage, the value of its `stage` label; of steps, its beginning. Made from the load if it is left out.
	Name string `yaml:"name,omitempty" json:"name,omitempty"`

	// How much of its beginning is not measured. The ramp's if it is left out.
	Warmup *model.Duration `yaml:"warmup,omitempty" json:"warmup,omitempty"`

	// The probes and weights of this stage, instead of the lane's.
	Mix map[string]float64 `yaml:"mix,omitempty" json:"mix,omitempty"`
}

// Step is a way to a load in steps. It has one of `by` and `count`.
type Step struct {
	// The load of the first step. By default the first step is one step above the load before.
	From *Level `yaml:"from,omitempty" json:"from,omitempty"`

	// The load of the last step.
	To Level `yaml:"to" json:"to"`

	// How much is added in each step. The last one may be smaller.
	By *Level `yaml:"by,omitempty" json:"by,omitempty"`

	// How many steps there are, 1 to 1000.
	Count int `yaml:"count,omitempty" json:"count,omitempty"`

	// How long each step takes.
	Each model.Duration `yaml:"each" json:"each"`
}

// Spike is a jump to a load and back.
type Spike struct {
	// The load.
	To Level `yaml:"to" json:"to"`

	// How long it lasts.
	For model.Duration `yaml:"for" json:"for"`
}

// Shape is the load of a ramp by a name and a few numbers. It has exactly one key. Loads are rates such as `10/s` (open loop), or
// plain numbers of requests under way (closed loop), where nothing else is said.
type Shape struct {
	// A few requests, one after the other: what the target does without other load.
	Baseline *BaselineShape `yaml:"baseline,omitempty" json:"baseline,omitempty"`

	// Loads one above the other, each held.
	Step *StepShape `yaml:"step,omitempty" json:"step,omitempty"`

	// A load that grows evenly.
	Linear *LinearShape `yaml:"linear,omitempty" json:"linear,omitempty"`

	// A low load with short peaks.
	Spike *SpikeShape `yaml:"spike,omitempty" json:"spike,omitempty"`

	// One load for a long time, to which it rises from nothing within a minute.
	Soak *SoakShape `yaml:"soak,omitempty" json:"soak,omitempty"`

	// Silence, then several requests at once.
	BurstAfterIdle *BurstAfterIdleShape `yaml:"burst_after_idle,omitempty" json:"burst_after_idle,omitempty"`

	// The knee, found with few requests: loads are doubled until an objective is missed, then the range is halved.
	Search *SearchShape `yaml:"search,omitempty" json:"search,omitempty"`

	// One load, in which the share of one probe grows.
	MixSweep *MixSweepShape `yaml:"mix_sweep,omitempty" json:"mix_sweep,omitempty"`

	// A lane `victim` at one rate, and a lane `neighbour` that bursts. Either may be written under `lanes`, for credentials or a target of its own.
	NoisyNeighbour *NoisyNeighbourShape `yaml:"noisy_neighbour,omitempty" json:"noisy_neighbour,omitempty"`

	// A normal load, an overload, and the normal load again: how long until it is as before?
	Recovery *RecoveryShape `yaml:"recovery,omitempty" json:"recovery,omitempty"`
}

// BaselineShape is a few requests, one after the other.
type BaselineShape struct {
	// How many requests there are, of all the mix together. 1 to 10000.
	Requests int `yaml:"requests,omitempty" json:"requests,omitempty"`
}

// StepShape is loads one above the other. It has one of `by` and `steps`.
type StepShape struct {
	// The first load.
	From Level `yaml:"from" json:"from"`

	// The last load.
	To Level `yaml:"to" json:"to"`

	// How much is added in each step. The last one may be smaller.
	By *Level `yaml:"by,omitempty" json:"by,omitempty"`

	// How many loads there are, the first and the last included: 2 to 1000.
	Steps int `yaml:"steps,omitempty" json:"steps,omitempty"`

	// How long each load is held.
	Each model.Duration `yaml:"each,omitempty" json:"each,omitempty"`
}

// LinearShape is a load that grows evenly.
type LinearShape struct {
	// The load at the beginning. Nothing if it is left out.
	From *Level `yaml:"from,omitempty" json:"from,omitempty"`

	// The load at the end.
	To Level `yaml:"to" json:"to"`

	// How long it takes.
	Over model.Duration `yaml:"over,omitempty" json:"over,omitempty"`
}

// SpikeShape is a low load with short peaks: for each, the base for the time `every` and the peak for the time `for`; at the end the base once more.
type SpikeShape struct {
	// The load beside the peaks.
	Base Level `yaml:"base" json:"base"`

	// The load of the peaks.
	Peak Level `yaml:"peak" json:"peak"`

	// How long a peak lasts.
	For model.Duration `yaml:"for,omitempty" json:"for,omitempty"`

	// How long the base is held before and after a peak.
	Every model.Duration `yaml:"every,omitempty" json:"every,omitempty"`

	// How many peaks there are. 1 to 1000.
	Times int `yaml:"times,omitempty" json:"times,omitempty"`
}

// SoakShape is one load for a long time. It begins with a minute in which the load rises from nothing.
type SoakShape struct {
	// The load.
	Load Level `yaml:"load" json:"load"`

	// How long it is held, after the minute in which it rises.
	For model.Duration `yaml:"for,omitempty" json:"for,omitempty"`
}

// BurstAfterIdleShape is silence for the time `idle`, then several requests at once, several times. The next silence begins when all have ended.
type BurstAfterIdleShape struct {
	// How many requests go out together. 1 to 10000.
	Size int `yaml:"size" json:"size"`

	// How long each silence is.
	Idle model.Duration `yaml:"idle" json:"idle"`

	// How many bursts there are. 1 to 1000.
	Times int `yaml:"times,omitempty" json:"times,omitempty"`
}

// SearchShape finds the knee with few requests.
type SearchShape struct {
	// The lowest load, at which the objectives should hold.
	From Level `yaml:"from" json:"from"`

	// The highest load that is tried.
	To Level `yaml:"to" json:"to"`

	// How near the highest good load and the lowest bad one must be.
	Tolerance Percent `yaml:"tolerance,omitempty" json:"tolerance,omitempty"`

	// How long a load is held at most.
	Each model.Duration `yaml:"each,omitempty" json:"each,omitempty"`

	// How many requests a load has at most, above 20: it is held for less than `each` then. A load just above what the server can do
	// takes time to show, so that a short one finds the knee too high. 0 is no bound: a load ends early as soon as it is clear how it would end.
	Requests int `yaml:"requests,omitempty" json:"requests,omitempty"`
}

// MixSweepShape is one load, in which the share of one probe grows. The other probes of the mix share the rest by their weights.
type MixSweepShape struct {
	// The load.
	Load Level `yaml:"load" json:"load"`

	// The name of the probe.
	Probe string `yaml:"probe" json:"probe"`

	// Its shares, 0 to 1, one after the other.
	Shares []float64 `yaml:"shares,omitempty" json:"shares,omitempty"`

	// How long each share is held.
	Each model.Duration `yaml:"each,omitempty" json:"each,omitempty"`
}

// NoisyNeighbourShape is a steady lane `victim` and a lane `neighbour`, which is silent for the time `every` before and after each of its bursts.
type NoisyNeighbourShape struct {
	// The load of the victim, all the time.
	Victim Level `yaml:"victim" json:"victim"`

	// The load of the neighbour in its bursts.
	Neighbour Level `yaml:"neighbour" json:"neighbour"`

	// The probes that the neighbour asks, and their weights. The ramp's mix if it is left out.
	Mix map[string]float64 `yaml:"mix,omitempty" json:"mix,omitempty"`

	// How long a burst lasts.
	For model.Duration `yaml:"for,omitempty" json:"for,omitempty"`

	// How long the neighbour is silent before and after a burst.
	Every model.Duration `yaml:"every,omitempty" json:"every,omitempty"`

	// How many bursts there are. 1 to 1000.
	Times int `yaml:"times,omitempty" json:"times,omitempty"`
}

// RecoveryShape is a normal load, an overload, and the normal load again.
type RecoveryShape struct {
	// The normal load.
	Base Level `yaml:"base" json:"base"`

	// The load that is too much.
	Overload Level `yaml:"overload" json:"overload"`

	// How long the normal load is held before, to know what is normal.
	Before model.Duration `yaml:"before,omitempty" json:"before,omitempty"`

	// How long the overload lasts.
	For model.Duration `yaml:"for,omitempty" json:"for,omitempty"`

	// How long the normal load is held afterwards.
	Watch model.Duration `yaml:"watch,omitempty" json:"watch,omitempty"`
}

// RampObjective is what is to hold in every measured stage of a ramp. Times count from when a request was intended; a failed one is over every bound.
type RampObjective struct {
	// The lane. Each of them if it is left out.
	Lane string `yaml:"lane,omitempty" json:"lane,omitempty"`

	// The probe. Each of the lane's if it is left out.
	Probe string `yaml:"probe,omitempty" json:"probe,omitempty"`

	// What is judged: `ttft`, `duration`, `tpot`, `output_tokens_per_second`, `queue_wait` or `availability`.
	Indicator string `yaml:"indicator" json:"indicator"`

	// The percentile of the requests that must keep the threshold: of 100, such as 95, at least 1 and below 100. None for `availability`.
	Percentile float64 `yaml:"percentile,omitempty" json:"percentile,omitempty"`

	// The bound: a duration such as `800ms`; for `output_tokens_per_second` a number; for `availability` the least share of good requests, such as `0.99`.
	Threshold Threshold `yaml:"threshold" json:"threshold"`
}

// Abort is what ends a run at once, when it has been so for the time `over`.
type Abort struct {
	// The share of failed requests, above 0 and up to 1.
	ErrorShare float64 `yaml:"error_share,omitempty" json:"error_share,omitempty"`

	// A median of the time to first token above this. Times count from when a request was intended.
	TTFTP50 model.Duration `yaml:"ttft_p50,omitempty" json:"ttft_p50,omitempty"`

	// The same for the 90th percentile.
	TTFTP90 model.Duration `yaml:"ttft_p90,omitempty" json:"ttft_p90,omitempty"`

	// The same for the 95th percentile.
	TTFTP95 model.Duration `yaml:"ttft_p95,omitempty" json:"ttft_p95,omitempty"`

	// The same for the 99th percentile.
	TTFTP99 model.Duration `yaml:"ttft_p99,omitempty" json:"ttft_p99,omitempty"`

	// More requests than this waiting in the engine, of the target's `engine`.
	Waiting int `yaml:"waiting,omitempty" json:"waiting,omitempty"`

	// More requests of the ramp than this under way.
	InFlight int `yaml:"in_flight,omitempty" json:"in_flight,omitempty"`

	// More than this spent by the run, by the target's price and in its currency. It ends the run at once.
	Cost float64 `yaml:"cost,omitempty" json:"cost,omitempty"`

	// How many times as long as before the run the first tokens of continuous probes of other targets on the same engine or GPUs take. Above 1.
	Victims float64 `yaml:"victims,omitempty" json:"victims,omitempty"`

	// How long it must have been so. At least 1s.
	Over model.Duration `yaml:"over,omitempty" json:"over,omitempty"`
}

// Compare is what a run is compared with.
type Compare struct {
	// `previous`, `previous_passed`, `last_7` for the median of the last seven passed runs (any number from 2 to 100), or `baseline:NAME` for a run that was saved under a name.
	With string `yaml:"with" json:"with"`

	// By how much an indicator may be worse: `10%`.
	MaxRegression Percent `yaml:"max_regression,omitempty" json:"max_regression,omitempty"`

	// How sure it must be, above 0.5 and below 1.
	Confidence float64 `yaml:"confidence,omitempty" json:"confidence,omitempty"`
}

// HTTPClientConfig is Prometheus' own, with redirects and HTTP/2 off unless the file turns them on.
// Its values print their secrets when formatted by themselves: print the Target.
type HTTPClientConfig = commoncfg.HTTPClientConfig
