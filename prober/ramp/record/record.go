// Package record is what a run leaves: the types of a run's record, and the histograms in it.
//
// It guarantees that a record says what was planned, what was done and what was left out of the figures, that records
// of shards and repeats can be added up exactly, and that a record written by an older version can be read.
//
//	Run
//	├── Lanes                 one stream of requests each
//	│   └── Stages            one load each, in order
//	│       ├── Probes        statistics of the measured part, by probe
//	│       └── Windows       the same, coarser, through time: warm-up and drain included
//	├── Samples               engine, GPUs and continuous probes beside it, on the same time axis
//	├── Verdict, Reasons
//	├── Diagnosis             what it says of the server
//	└── Comparison            against other runs
//
// All that a run measured is in it but the single requests, which have a file of their own.
package record

import (
	"encoding/json"
	"time"
)

// SchemaVersion is the version of records that this program writes. It reads all from 1 on.
const SchemaVersion = 1

// Trigger is what started a run.
type Trigger string

// The triggers.
const (
	BySchedule Trigger = "schedule"
	ByHand     Trigger = "hand" // by a person: the command in the foreground, or a page
	ByAPI      Trigger = "api"
)

// Verdict is what became of a run, in one word. The set is closed, so it may be a metric label.
type Verdict string

// The verdicts, in the order in which they are looked at: a run has the first that applies.
const (
	CutShort      Verdict = "cut_short"       // ended from outside before its plan was done: a signal, a stop, a removal
	Aborted       Verdict = "aborted"         // an abort limit tripped
	Invalid       Verdict = "invalid"         // the prober could not keep the plan: nothing is said of the server
	Fail          Verdict = "fail"            // an objective was missed
	Regressed     Verdict = "regressed"       // all objectives held, but it is worse than what it is compared with
	NotEnoughRuns Verdict = "not_enough_runs" // all objectives held, and there is too little to compare with
	Pass          Verdict = "pass"            // all objectives held, and it is no worse
)

// Verdicts lists every verdict.
func Verdicts() []Verdict {
	return []Verdict{CutShort, Aborted, Invalid, Fail, Regressed, NotEnoughRuns, Pass}
}

// Run is one execution of a ramp.
type Run struct {
	Schema  int       `json:"schema"`
	ID      string    `json:"id"` // sorts by time: 20261122T020000Z-nightly_soak-1f3a
	Ramp    string    `json:"ramp"`
	Target  string    `json:"target"`
	Model   string    `json:"model"`
	Shape   string    `json:"shape,omitempty"` // the named shape; empty where stages were written by hand
	Trigger Trigger   `json:"trigger"`
	Nominal time.Time `json:"nominal,omitzero"` // the time of the schedule that this is the run of; zero without a schedule
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`

	Seed   uint64 `json:"seed"`             // of arrivals and mixes
	Set    int    `json:"set,omitempty"`    // of a ramp that is repeated, from 1; 0: not repeated
	Sets   int    `json:"sets,omitempty"`   // how many there are of it
	Shard  int    `json:"shard,omitempty"`  // of a ramp spread over several probers, from 0
	Shards int    `json:"shards,omitempty"` // how many there are of it; 0: not spread
	Merged []int  `json:"merged,omitempty"` // the shards that were added up in this record

	Environment Environment     `json:"environment"`
	Config      json.RawMessage `json:"config,omitempty"` // the ramp's configuration as it was used, secrets hidden

	Objectives []Objective `json:"objectives,omitempty"`
	Lanes      []Lane      `json:"lanes"`
	Samples    []Sample    `json:"samples,omitempty"`

	Rules      []string    `json:"rules,omitempty"`   // what was left out of the figures, and when a stage is invalid, in words
	Stopped    string      `json:"stopped,omitempty"` // what ended it before its plan was done, in words
	Abort      *Abort      `json:"abort,omitempty"`   // the limit that tripped
	Verdict    Verdict     `json:"verdict"`
	Reasons    []string    `json:"reasons,omitempty"` // of the verdict, in words
	Diagnosis  *Diagnosis  `json:"diagnosis,omitempty"`
	Comparison *Comparison `json:"comparison,omitempty"`
}

// Environment is where a run was made, for whoever compares two.
type Environment struct {
	Version  string            `json:"version,omitempty"` // of llm_prober
	Host     string            `json:"host,omitempty"`
	OS       string            `json:"os,omitempty"`
	CPUs     int               `json:"cpus,omitempty"` // that Go uses
	Engine   string            `json:"engine,omitempty"`
	GPUs     []string          `json:"gpus,omitempty"` // UUIDs of the target's
	Currency string            `json:"currency,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"` // the target's own
}

// Objective is what a ramp promises of a lane's requests in every measured stage.
type Objective struct {
	Lane       string  `json:"lane,omitempty"`  // empty: each lane
	Probe      string  `json:"probe,omitempty"` // empty: each probe
	Indicator  string  `json:"indicator"`       // ttft, duration, tpot, output_tokens_per_second, queue_wait, availability
	Percentile float64 `json:"percentile"`      // 95; of availability none
	Threshold  float64 `json:"threshold"`       // seconds, tokens per second, or for availability the least share of good requests
}

// Lane is one stream of requests.
type Lane struct {
	Name    string  `json:"name"`
	Target  string  `json:"target"` // its own, where it has one; else the run's
	Model   string  `json:"model"`
	Open    bool    `json:"open"`              // open loop: requests begin when planned, whatever the server does
	Process string  `json:"process,omitempty"` // of open loops: constant, poisson, gamma, trace
	Stages  []Stage `json:"stages"`
	Search  *Search `json:"search,omitempty"` // of a lane that looked for the knee: what it found
}

// Search is how the search for the knee came out. Loads are requests per second; 0 means that there was none.
type Search struct {
	From       float64 `json:"from"`
	To         float64 `json:"to"`
	Resolution float64 `json:"resolution"`      // relative
	Knee       float64 `json:"knee"`            // the highest load at which every objective held; 0: not even at From
	Above      float64 `json:"above,omitempty"` // the lowest load above it at which one was missed; 0: all held up to To
	Confidence float64 `json:"confidence"`      // that the objectives held at the knee: the least of theirs; see Held
	Requests   int     `json:"requests"`        // sent for it, warm-up included
	Words      string  `json:"words"`
}

// Kind is what a stage is there for.
type Kind string

// The kinds.
const (
	Hold     Kind = "hold"     // one load
	Rising   Kind = "ramp"     // from one load to another
	Spike    Kind = "spike"    // far more for a short time
	Idle     Kind = "idle"     // nothing
	Recovery Kind = "recovery" // a normal load after an overload: how long until it is normal?
	Unloaded Kind = "unloaded" // so little that nothing waits
)

// Stage is one load of a lane. Loads are requests per second in open loops, requests under way in closed ones.
//
// Only requests intended in [From, To) are measured: what comes before is warm-up, what comes after is drain.
type Stage struct {
	Index   int                `json:"index"` // from 0
	Name    string             `json:"name"`
	Kind    Kind               `json:"kind"`
	Begin   float64            `json:"begin_load"`
	End     float64            `json:"end_load"` // other than Begin where the load changes
	Mix     map[string]float64 `json:"mix"`      // shares by probe, adding up to 1
	Started time.Time          `json:"started"`
	From    time.Time          `json:"measured_from"`
	To      time.Time          `json:"measured_to"`
	Ended   time.Time          `json:"ended"`

	Planned     int     `json:"planned"`           // arrivals intended in the measured part; closed loops: requests begun
	Sent        int     `json:"sent"`              // of them, those that were sent
	Shed        int     `json:"shed"`              // of them, those that a cap on requests in flight, a budget, or a shortage of the prober's own machine, kept back
	Unended     int     `json:"unended"`           // of them, those that had not ended when the drain was over: canceled, and counted as failed
	Invalid     string  `json:"invalid,omitempty"` // why its figures say nothing of the server; empty: they do
	InFlight    float64 `json:"in_flight_mean"`    // requests under way, mean over the measured part
	MaxInFlight int     `json:"in_flight_max"`

	DispatchDelay *Histogram        `json:"dispatch_delay"` // how late the prober was: of all requests sent in the measured part
	Probes        map[string]*Stats `json:"probes"`
	Windows       []Window          `json:"windows,omitempty"`

	ShedBy   map[string]int `json:"shed_by,omitempty"`     // Shed by reason: in_flight, prober_resources (no file descriptor, port or memory), or the budget that was used up
	Canceled int            `json:"canceled,omitempty"`    // requests that we ended with the run, or with a stage that ended early: left out of Planned and of all else
	Early    string         `json:"ended_early,omitempty"` // why it ended before its time, in words; empty: it did not
}

// Measured is how long the measured part lasted.
func (s *Stage) Measured() time.Duration { return s.To.Sub(s.From) }

// Stats is what became of the requests of one probe.
// Times are counted from the intended time, but for those whose name says otherwise.
type Stats struct {
	Sent     int            `json:"sent"`              // and ended, one way or the other
	Outcomes map[string]int `json:"outcomes"`          // adding up to Sent
	Shed     int            `json:"shed,omitempty"`    // kept back, by a cap, a budget or a shortage; not in Sent
	Unended  int            `json:"unended,omitempty"` // those of the outcome canceled: the drain was over before they were
	Retried  int            `json:"retried,omitempty"` // of Sent, failed ones after which the same question was asked again

	// Who gave up on those that failed, where it can be told.
	TimedOutByClient int `json:"timed_out_by_client,omitempty"` // our own limits
	TimedOutByServer int `json:"timed_out_by_server,omitempty"` // HTTP 408, 504 and 524: the server, or a proxy before it
	Reset            int `json:"reset,omitempty"`               // the connection was reset by the other side

	TTFT               *Histogram            `json:"ttft,omitempty"`
	TTFTDispatched     *Histogram            `json:"ttft_dispatched,omitempty"` // from dispatch: what a closed-loop tool would say
	Duration           *Histogram            `json:"duration,omitempty"`
	DurationDispatched *Histogram            `json:"duration_dispatched,omitempty"`
	ITL                *Histogram            `json:"itl,omitempty"`         // once per token
	TPOT               *Histogram            `json:"tpot,omitempty"`        // once per request
	OutputRate         *Histogram            `json:"output_rate,omitempty"` // tokens per second of one request, in thousandths of a second: 1 token per second is 1 ms
	QueueWait          map[string]*Histogram `json:"queue_wait,omitempty"`  // by source

	PromptTokens       int64   `json:"prompt_tokens"`
	CachedPromptTokens int64   `json:"cached_prompt_tokens"`
	OutputTokens       int64   `json:"output_tokens"`
	EstimatedTokens    int64   `json:"estimated_tokens"` // of OutputTokens, those that the server did not count
	Cost               float64 `json:"cost,omitempty"`   // by the target's price by the token; 0 without one
}

// Window is a slice of a lane's time: what was intended in it.
type Window struct {
	Start    time.Time      `json:"start"`
	Length   time.Duration  `json:"length_ns"`
	Planned  int            `json:"planned"`
	Sent     int            `json:"sent"`
	OK       int            `json:"ok"`
	Shed     int            `json:"shed,omitempty"`
	Outcomes map[string]int `json:"failures,omitempty"` // but ok
	InFlight float64        `json:"in_flight"`          // mean
	Tokens   int64          `json:"output_tokens"`      // of the requests intended in it
	Arrived  int64          `json:"arrived_tokens"`     // output tokens that came in during it, whenever their request was intended
	TTFT     Quantiles      `json:"ttft"`
	Duration Quantiles      `json:"duration"`
	ITL      Quantiles      `json:"itl"`
	TPOT     Quantiles      `json:"tpot"`
}

// Quantiles are a few quantiles of one window, in seconds. N 0: there was no sample, and the rest is 0.
type Quantiles struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

// Sample is a look at what stands beside the requests. What is not known is nil or absent.
type Sample struct {
	At      time.Time          `json:"at"`
	Engine  *EngineSample      `json:"engine,omitempty"`
	GPUs    []GPUSample        `json:"gpus,omitempty"`
	Victims map[string]float64 `json:"victims,omitempty"` // TTFT in seconds of the newest request of continuous probes of other targets, by target/probe
}

// EngineSample is what the engine said of itself.
type EngineSample struct {
	Running     *float64 `json:"running,omitempty"`
	Waiting     *float64 `json:"waiting,omitempty"`
	KVUsage     *float64 `json:"kv_usage,omitempty"`    // 0 to 1
	Preemptions *float64 `json:"preemptions,omitempty"` // since the run began
	QueueWait   *float64 `json:"queue_wait,omitempty"`  // mean of the last interval, seconds
}

// GPUSample is what a GPU said of itself.
type GPUSample struct {
	UUID        string   `json:"uuid"`
	Utilization *float64 `json:"utilization,omitempty"` // 0 to 1
	MemoryUsed  *float64 `json:"memory_used_bytes,omitempty"`
	SMClock     *float64 `json:"sm_clock_hertz,omitempty"`
	Temperature *float64 `json:"temperature_celsius,omitempty"`
	Power       *float64 `json:"power_watts,omitempty"`
	Throttled   []string `json:"throttled,omitempty"` // reasons in force
}

// Abort is an abort limit that tripped.
type Abort struct {
	At    time.Time     `json:"at"`
	Limit string        `json:"limit"` // error_share, ttft, waiting, in_flight, cost, victims
	Lane  string        `json:"lane,omitempty"`
	Value float64       `json:"value"` // what was seen
	Bound float64       `json:"bound"`
	Over  time.Duration `json:"over_ns"` // for how long it had been so
	Words string        `json:"words"`
}
