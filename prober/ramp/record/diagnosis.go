package record

// Diagnosis is what a run says of the server: the questions of capacity planning, answered in words and numbers.
// What could not be told is nil or empty. Loads are requests per second in open loops, requests under way in closed ones.
type Diagnosis struct {
	Words      []string         `json:"words,omitempty"`      // the answers, a sentence each, the weightiest first
	Findings   []Finding        `json:"findings,omitempty"`   // the patterns that a test has shown
	Objectives []Judged         `json:"objectives,omitempty"` // each objective in each measured stage that it speaks of
	Knee       *Knee            `json:"knee,omitempty"`       // the highest load at which every objective held
	Capacity   *Capacity        `json:"capacity,omitempty"`   // how much can be done, whatever it takes
	Headroom   *Headroom        `json:"headroom,omitempty"`   // what is left beside the load that was there before the run
	Cost       *Cost            `json:"cost,omitempty"`       // at the knee
	Mix        []MixEffect      `json:"mix,omitempty"`        // what a larger share of one probe does to the others
	Neighbours []NeighbourShift `json:"neighbours,omitempty"` // what one lane's bursts do to another
	Beyond     *Beyond          `json:"beyond,omitempty"`     // how it degrades beyond the knee
	Recovery   *RecoveryTime    `json:"recovery,omitempty"`   // after the overload
	Losses     *Losses          `json:"losses,omitempty"`     // the requests that came to nothing
}

// Pattern is a pattern of trouble. The set is closed.
type Pattern string

// The patterns.
const (
	Saturated          Pattern = "saturated"            // throughput stays flat while latency rises
	Queueing           Pattern = "queueing"             // time to first token rises before the end-to-end time does: requests queue, or wait for the batch
	DecodeNearCapacity Pattern = "decode_near_capacity" // each stream gets fewer tokens a second
	ErrorsInSpikes     Pattern = "errors_in_spikes"     // requests fail in spikes alone: autoscaling, or connection handling
	Drift              Pattern = "drift"                // it becomes slower under an unchanged load: a leak, fragmentation, heat
	NoisyNeighbour     Pattern = "noisy_neighbour"      // one lane's bursts slow another lane down
	SlowRecovery       Pattern = "slow_recovery"        // it takes longer to recover than its backlog explains
)

// Patterns lists every pattern.
func Patterns() []Pattern {
	return []Pattern{Saturated, Queueing, DecodeNearCapacity, ErrorsInSpikes, Drift, NoisyNeighbour, SlowRecovery}
}

// Finding is a pattern that a statistical test has shown, with its evidence.
type Finding struct {
	Pattern  Pattern  `json:"pattern"`
	Lane     string   `json:"lane,omitempty"`
	Words    string   `json:"words"`
	Evidence string   `json:"evidence"`        // the test, its numbers and its confidence
	Cause    string   `json:"cause,omitempty"` // what stood beside it in the engine or the GPUs; empty: nothing is known of a cause
	Test     string   `json:"test"`            // the name of the test
	P        float64  `json:"p_value"`         // the largest of its tests'
	Change   *float64 `json:"change_ratio"`    // the latency, rate or share with it, as a multiple of that without it; null: there was none without
}

// Judged is an objective in one stage.
type Judged struct {
	Lane       string   `json:"lane"`
	Stage      int      `json:"stage"` // its index in the lane
	Name       string   `json:"stage_name"`
	Load       float64  `json:"load"` // at the end of the stage
	Probe      string   `json:"probe"`
	Indicator  string   `json:"indicator"`
	Percentile float64  `json:"percentile,omitempty"`
	Threshold  float64  `json:"threshold"` // seconds, tokens per second or a share, as the objective has it
	Promised   bool     `json:"promised"`  // the verdict counts it; false: a load that was there to find the limit, or to recover from
	Held       bool     `json:"held"`
	Missed     bool     `json:"missed"` // neither: too few requests to tell
	Confidence float64  `json:"confidence_ratio"`
	Value      *float64 `json:"value"` // in the threshold's unit; null: so many failed that there is no such percentile
	Good       int      `json:"good_requests"`
	Total      int      `json:"total_requests"`
}

// Knee is the highest load of a lane at which every objective held and at least 0.9 of the work that was asked for was
// done meanwhile. The truth lies between HeldAt and MissedAt.
type Knee struct {
	Lane     string  `json:"lane"`
	Open     bool    `json:"open"`
	HeldAt   float64 `json:"held_at_load"`             // 0: it held at no load
	MissedAt float64 `json:"missed_at_load,omitempty"` // the lowest load above at which it did not; 0: there was none
	// Load is the best guess in between: where the percentile that broke crosses its threshold, by a straight line through the
	// logarithms. HeldAt where MissedAt is 0, or nothing can be interpolated.
	Load              float64 `json:"load"`
	RequestsPerSecond float64 `json:"requests_per_second"` // done at HeldAt
	TokensPerSecond   float64 `json:"output_tokens_per_second"`
	InFlight          float64 `json:"in_flight_mean"`   // at HeldAt
	Confidence        float64 `json:"confidence_ratio"` // that the objectives held at HeldAt
	Broke             string  `json:"broke,omitempty"`  // what broke first at MissedAt, in words
	Bend              float64 `json:"bend_load"`        // where two straight lines fitted to the logarithm of the p95 TTFT meet: an annotation; 0: too few loads, or no bend
}

// Capacity is the throughput that a server levels off at, from a fit of throughput to concurrency:
//
//	throughput(N) = λN / (1 + σ(N-1) + κN(N-1))        the universal scalability law
//
// or, where the law does not describe what was seen, from the loads at which throughput no longer rose.
type Capacity struct {
	Lane              string  `json:"lane"`
	RequestsPerSecond float64 `json:"requests_per_second"`                // 0: not identified
	StdErr            float64 `json:"standard_error_requests_per_second"` // of it
	Identified        bool    `json:"identified"`                         // false: it was still rising at the highest load
	AtLeast           float64 `json:"at_least_requests_per_second"`       // the most that was seen
	Method            string  `json:"method"`                             // usl, plateau
	Lambda            float64 `json:"usl_lambda_requests_per_second,omitempty"`
	Sigma             float64 `json:"usl_sigma,omitempty"`
	Kappa             float64 `json:"usl_kappa,omitempty"`
	Residual          float64 `json:"usl_residual_ratio,omitempty"` // root mean square of the relative misfit
	Loads             int     `json:"loads"`                        // that were fitted
	Words             string  `json:"words,omitempty"`              // what is wrong with the fit, where something is
}

// Headroom is what is left beside the load that the engine had before the run.
type Headroom struct {
	Before float64 `json:"running_before"`  // requests in the engine before the run, mean
	AtKnee float64 `json:"running_at_knee"` // the same at the knee, the run's own included
	Ratio  float64 `json:"ratio"`           // the share of what runs at the knee that was free before: 0 none, 1 all
}

// Cost is what the work costs at the highest load that held.
type Cost struct {
	Currency            string  `json:"currency,omitempty"`
	PerThousandRequests float64 `json:"per_thousand_requests"`
	PerMillionTokens    float64 `json:"per_million_output_tokens"`
	By                  string  `json:"by"` // tokens: the price of a token; hour: the price of an hour, at this load
	Load                float64 `json:"load"`
}

// MixEffect is what a larger share of one probe does to another, at the same load.
type MixEffect struct {
	Lane      string  `json:"lane"`
	Probe     string  `json:"probe"`  // the one whose share grew
	Victim    string  `json:"victim"` // the one that was looked at
	Indicator string  `json:"indicator"`
	From      float64 `json:"from_share"`
	To        float64 `json:"to_share"`
	// PerTenth is the change with ten percentage points more, as a share: 0.25 is a quarter more. Low and High bound it with 95 % confidence.
	PerTenth float64 `json:"per_tenth_ratio"`
	Low      float64 `json:"per_tenth_low_ratio"`
	High     float64 `json:"per_tenth_high_ratio"`
	P        float64 `json:"p_value"` // of there being none
	Loads    int     `json:"stages"`
}

// NeighbourShift is what a lane's bursts do to another lane.
type NeighbourShift struct {
	Victim     string  `json:"victim"`
	Neighbour  string  `json:"neighbour"`
	Indicator  string  `json:"indicator"`
	During     float64 `json:"during_p95_seconds"`  // mean over the windows
	Between    float64 `json:"between_p95_seconds"` // the same
	DuringP50  float64 `json:"during_p50_seconds"`
	BetweenP50 float64 `json:"between_p50_seconds"`
	Ratio      float64 `json:"p95_ratio"` // geometric mean during by that between
	Low        float64 `json:"p95_low_ratio"`
	High       float64 `json:"p95_high_ratio"` // 95 % confidence
	P          float64 `json:"p_value"`
	Windows    int     `json:"windows_during"`
}

// Beyond is how a server degrades beyond the knee.
type Beyond struct {
	Abrupt bool `json:"abrupt"`
	// Elasticity is by how many per cent the p95 TTFT rises for each per cent of load, from the knee to that load above for
	// which it is most. null: nothing came through there.
	Elasticity *float64 `json:"p95_elasticity"`
	Throughput float64  `json:"throughput_ratio"` // done at the highest load, by the most that was done at any
	Failed     float64  `json:"failed_ratio"`     // of the requests at the highest load
	Words      string   `json:"words"`
}

// RecoveryTime is how long a lane took to be normal again after an overload.
//
// It is normal from the first of three windows in a row on whose p95 is within the band, if there are no three in a row outside
// afterwards. The band goes to the 95th percentile of the windows before the overload, and at least to 1.2 times their median.
type RecoveryTime struct {
	Lane      string  `json:"lane"`
	Indicator string  `json:"indicator"`
	Recovered bool    `json:"recovered"`
	Seconds   float64 `json:"seconds"`          // from the end of the overload; where it has not recovered, how long was looked
	Expected  float64 `json:"expected_seconds"` // what working off the backlog takes at the throughput of the overload; 0: unknown
	Normal    float64 `json:"normal_p95_seconds"`
	Band      float64 `json:"band_p95_seconds"` // up to here it is normal
	Worst     float64 `json:"worst_p95_seconds"`
}

// Losses are the requests that came to nothing, by whose doing. Each is counted once.
type Losses struct {
	Requests int            `json:"requests"`        // planned in measured parts
	Shed     int            `json:"shed"`            // kept back by the prober's own caps and budgets
	Unended  int            `json:"unended"`         // not over when the drain was
	Client   int            `json:"client_timeouts"` // the prober gave up
	Timeouts int            `json:"server_timeouts"` // the server, or a proxy before it, gave up: HTTP 408, 504, 524
	Refused  int            `json:"refused"`         // rate limited or overloaded: 429, 503, 529, or so said in the stream
	Reset    int            `json:"reset"`           // the connection was refused, reset or lost
	Other    int            `json:"other"`           // all other failures
	Outcomes map[string]int `json:"outcomes_failed"` // each failed outcome
}

// Comparison is a run, or a set of runs, against others. What is compared is one number of each run: the requests of a run
// share its luck, and do not speak for themselves.
type Comparison struct {
	With       string      `json:"with"`           // what it was asked to be compared with
	News       []string    `json:"news,omitempty"` // the ids of the runs that are judged; more than one for a set
	Runs       []string    `json:"runs"`           // the ids of those that they are judged by
	Spread     []string    `json:"spread,omitempty"`
	Verdict    Verdict     `json:"verdict"` // pass, regressed, not_enough_runs
	Test       string      `json:"test,omitempty"`
	Alpha      float64     `json:"alpha_ratio,omitempty"`        // the share of false alarms that is accepted, over all judged indicators together
	Least      float64     `json:"least_effect_ratio,omitempty"` // changes below it are none
	Indicators []Indicator `json:"indicators,omitempty"`
	Words      []string    `json:"words,omitempty"`
}

// Indicator is one number of each run, in two sets of runs.
type Indicator struct {
	Lane   string   `json:"lane,omitempty"`
	Probe  string   `json:"probe,omitempty"`
	Name   string   `json:"indicator"`      // ttft_p95, failed, knee, ...
	Unit   string   `json:"unit,omitempty"` // seconds, tokens_per_second, requests_per_second, ratio
	Higher bool     `json:"higher_is_better,omitempty"`
	Old    float64  `json:"old"`          // typical of the runs that are compared with
	New    float64  `json:"new"`          // of those that are judged
	Change float64  `json:"change_ratio"` // 0.2 is a fifth more; of shares (unit ratio) the difference
	Low    *float64 `json:"change_low_ratio"`
	High   *float64 `json:"change_high_ratio"` // the change with 95 % confidence; null: too few runs to say
	P      float64  `json:"p_value"`           // of a change for the worse by chance, adjusted for all that is judged where it is judged
	Judged bool     `json:"judged"`            // the verdict looks at it
	Worse  bool     `json:"worse"`             // by more than the least effect, and not by chance
	Better bool     `json:"better"`
	News   int      `json:"new_runs"` // that have it
	Olds   int      `json:"old_runs"`
}

// Steady lists the windows that lie wholly in the stage's measured part.
func (s *Stage) Steady() []Window {
	var steady []Window
	for _, w := range s.Windows {
		if !w.Start.Before(s.From) && !w.Start.Add(w.Length).After(s.To) {
			steady = append(steady, w)
		}
	}
	return steady
}
