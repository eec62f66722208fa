package record

// Diagnosis is what a run says of the server: the questions of capacity planning, answered in words and numbers.
// What could not be told is nil or empty.
type Diagnosis struct {
	Words    []string  `json:"words,omitempty"`    // the answers, a sentence each, the weightiest first
	Findings []Finding `json:"findings,omitempty"` // the patterns that a test has shown
}

// Finding is a pattern that a statistical test has shown, with its evidence.
type Finding struct {
	Pattern  string `json:"pattern"` // saturated, queueing, decode_near_capacity, errors_in_spikes, drift, ...
	Words    string `json:"words"`
	Evidence string `json:"evidence"` // the test, its numbers and its confidence
}

// Comparison is a run against other runs.
type Comparison struct {
	With  string   `json:"with"` // what it was asked to be compared with
	Runs  []string `json:"runs"` // the ids of those runs
	Words []string `json:"words,omitempty"`
}
