package web

import "time"

// What the pages show beside the results comes as plain values: this package knows neither the configuration, nor the
// schedule, nor the metrics. Texts may hold anything; they are shown as text, shortened.

// Objective is a promise about the requests of a probe, with what was counted of it.
type Objective struct {
	Name, Target, Probe string
	Indicator           string    // ttft, duration, tpot, output_tokens_per_second, queue_wait or availability
	Threshold           float64   // in seconds, or tokens per second; 0 for availability
	Goal                float64   // the share of requests that is to be good, below 1
	Events, Bad         float64   // counted since Since
	Since               time.Time // zero: since the prober started
}

// Engine is what the serving software behind a target says of itself.
type Engine struct {
	Target, Kind     string
	Up               bool
	Problem          string   // why it could not be read, in a word; empty when it could
	Because          string   // the error behind it, without secrets; empty: none is known
	Running, Waiting *float64 // requests; nil: not known
	KVCache          *float64 // the share of its cache that is in use, 0 to 1; nil: not known
}

// GPU is one GPU behind a target.
type GPU struct {
	Target, Name string
	Throttled    string // why it is slowed down right now; empty: it is not
	XID          string // the last error that the driver reported, with when; empty: none of late
	Lost         bool   // the driver no longer lists it
}

// Budget is a bound and how much of it is used.
type Budget struct {
	Target   string // empty: of all targets together
	Measure  string // requests_per_minute, output_tokens_per_hour or cost_per_day
	Currency string // of cost
	Used     float64
	Limit    float64       // 0: no bound
	RoomIn   time.Duration // until the next request fits in; 0: it does; negative: it will not
}

// Job is a probe in the schedule.
type Job struct {
	Target, Probe string
	Next          time.Time     // zero: not known, as the end of what is under way decides
	Interval      time.Duration // for bursts: of idleness before one
	Jitter        time.Duration // 0: none
	Burst         int           // how many requests go out together; 0 and 1: one
	Running       bool
}

// Pause is a target that has asked to be left alone.
type Pause struct {
	Target string
	Until  time.Time
}

// Ramp is a load run that is planned or under way.
type Ramp struct {
	Name, Target string
	Schedule     string        // as it is written; empty: by hand only
	Times        []time.Time   // when it starts in the next 24 hours at least, soonest first
	Takes        time.Duration // planned; 0: not known
	Running      bool
	Verdict      string    // of its last run; empty: none yet
	Missed       time.Time // the newest time at which it was to run and did not; zero: none is known
	Reason       string    // why it did not, as package cron calls it
}

// Schedule is what runs when.
type Schedule struct {
	Jobs        []Job
	Pauses      []Pause
	Ramps       []Ramp
	Budgets     []Budget
	InFlight    int // requests under way
	MaxInFlight int // 0: no bound
}

// Metric is a family of metrics that the prober exports.
type Metric struct {
	Name   string
	Type   string // counter, gauge or histogram
	Group  string // headline under which it stands; families of a group follow each other
	Help   string
	Note   string   // more of it; may be empty
	Labels []string // its own, beside target, model and probe
	Query  string   // to be copied; empty: made from name, type and labels
}

// Endpoint is how a target is asked.
type Endpoint struct {
	URL      string
	Protocol string   // as package wire calls it
	Headers  []string // names of the headers that are sent with secrets in them
}
