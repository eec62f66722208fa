package judge

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Summary is a run without its statistics: what scripts ask for.
type Summary struct {
	ID         string             `json:"id"`
	Ramp       string             `json:"ramp"`
	Target     string             `json:"target"`
	Model      string             `json:"model"`
	Started    time.Time          `json:"started"`
	Ended      time.Time          `json:"ended"`
	Verdict    record.Verdict     `json:"verdict"`
	Reasons    []string           `json:"reasons"`
	Diagnosis  *record.Diagnosis  `json:"diagnosis"`
	Comparison *record.Comparison `json:"comparison"`
}

// JSON is a run's summary, indented.
func JSON(run *record.Run) ([]byte, error) {
	return indented(Summary{run.ID, run.Ramp, run.Target, run.Model, run.Started, run.Ended, run.Verdict, run.Reasons, run.Diagnosis, run.Comparison})
}

// ComparisonJSON is a comparison, indented.
func ComparisonJSON(c *record.Comparison) ([]byte, error) { return indented(c) }

func indented(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write as JSON: %w", err)
	}
	return append(text, '\n'), nil
}
