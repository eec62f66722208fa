package runs

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// Exports have the columns that notebooks made for other tools know, and ours beside them.
//
//   - Of requests, guidellm's names: request_latency in seconds, time_to_first_token_ms, inter_token_latency_ms (the mean
//     over one request, which is what vLLM calls TPOT), output_tokens_per_second. Their time_per_output_token_ms is not
//     here: it has the time to the first token in it, and is no time per output token.
//   - Of stages, those of `vllm bench serve --save-result`: mean_ttft_ms, p99_tpot_ms, output_throughput and so on.
//   - As JSON lines of requests, those of aiperf's profile_export.jsonl.
//
// As with those tools, times under their names count from dispatch. Ours from the intended time, which tell what users
// of a server that stalls go through, have names of their own. Unlike theirs, figures of stages leave out warm-up and drain.

// A cell is one value of an export: nil is an empty cell in CSV and null in JSON.
type cell struct {
	name  string
	value any
}

// WriteRequestsCSV writes a line for each request.
func WriteRequestsCSV(w io.Writer, requests iter.Seq2[*Request, error]) error {
	out := csv.NewWriter(w)
	if err := out.Write(header(requestCells(&Request{}))); err != nil {
		return err
	}
	for r, err := range requests {
		if err != nil {
			return err
		}
		if err := out.Write(line(requestCells(r))); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// requestCells are the columns of a request, in order.
func requestCells(r *Request) []cell {
	ms := func(from, to string) any {
		if d, ok := r.Between(from, to); ok {
			return milli(d)
		}
		return nil
	}
	good := func(v any) any { // as in all tools, a failed request has no latencies of tokens
		if r.Outcome != prober.OK {
			return nil
		}
		return v
	}
	at := func(step string) any {
		if d, ok := r.Between("", step); ok {
			return float64(r.Intended.Add(d).UnixMicro()) / 1e6
		}
		return nil
	}
	var latency, itl, rate, prompt, total any
	if d, ok := r.Between(StepDispatched, StepEnd); ok {
		latency = d.Seconds()
	}
	if r.TPOT > 0 {
		itl, rate = milli(time.Duration(r.TPOT)), 1/time.Duration(r.TPOT).Seconds()
	}
	if r.UsageKnown {
		prompt, total = r.PromptTokens, r.PromptTokens+r.OutputTokens
	}
	return []cell{
		{"request_id", r.ID},
		{"request_start_time", at(StepDispatched)},
		{"request_end_time", at(StepEnd)},
		{"request_latency", latency},
		{"time_to_first_token_ms", good(ms(StepDispatched, StepFirstToken))},
		{"inter_token_latency_ms", good(itl)},
		{"output_tokens_per_second", good(rate)},
		{"prompt_tokens", prompt},
		{"output_tokens", r.OutputTokens},
		{"total_tokens", total},
		{"target", r.Target},
		{"lane", r.Lane},
		{"stage", r.Stage},
		{"probe", r.Probe},
		{"outcome", string(r.Outcome)},
		{"http_status", number(r.HTTPStatus)},
		{"finish_reason", r.FinishReason},
		{"intended_time", float64(r.Intended.UnixMicro()) / 1e6},
		{"dispatch_delay_ms", ms("", StepDispatched)},
		{"intended_to_first_token_ms", good(ms("", StepFirstToken))},
		{"intended_to_end_ms", ms("", StepEnd)},
		{"headers_ms", ms(StepDispatched, StepHeaders)},
		{"connect_ms", ms(StepConnectStart, StepConnectDone)},
		{"tls_ms", ms(StepTLSStart, StepTLSDone)},
		{"reused", r.Reused},
		{"cached_prompt_tokens", r.CachedTokens},
		{"reasoning_tokens", r.ReasoningTokens},
		{"output_tokens_source", string(r.OutputSource)},
		{"attempt", max(r.Attempt, 1)},
		{"retried", r.Retried},
		{"turn", number(r.Turn)},
		{"burst", number(r.Burst)},
		{"cold", r.Cold},
		{"clock", string(r.Clock)},
		{"receive_delay_ms", milli(time.Duration(r.ReceiveDelay))},
		{"degraded", r.Degraded},
	}
}

// WriteStagesCSV writes a line for each lane, stage and probe, and one, without a probe, for all of a stage's together.
func WriteStagesCSV(w io.Writer, run *record.Run) error {
	out := csv.NewWriter(w)
	if err := out.Write(header(stageCells(&record.Run{}, &record.Lane{}, &record.Stage{}, "", &record.Stats{}))); err != nil {
		return err
	}
	for cells := range stages(run) {
		if err := out.Write(line(cells)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// WriteStagesJSON writes the same as WriteStagesCSV, as an array of objects.
func WriteStagesJSON(w io.Writer, run *record.Run) error {
	out := []byte("[")
	for cells := range stages(run) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, '\n', '{')
		for i, c := range cells {
			value, err := json.Marshal(c.value)
			if err != nil {
				return err
			}
			if i > 0 {
				out = append(out, ',')
			}
			out = strconv.AppendQuote(out, c.name)
			out = append(append(out, ':'), value...)
		}
		out = append(out, '}')
	}
	_, err := w.Write(append(out, "\n]\n"...))
	return err
}

// stages goes through the lines of a run.
func stages(run *record.Run) iter.Seq[[]cell] {
	return func(yield func([]cell) bool) {
		for l := range run.Lanes {
			for s := range run.Lanes[l].Stages {
				stage := &run.Lanes[l].Stages[s]
				all := &record.Stats{}
				var probes []string
				for probe, stats := range stage.Probes {
					all.Add(stats)
					probes = append(probes, probe)
				}
				if !yield(stageCells(run, &run.Lanes[l], stage, "", all)) {
					return
				}
				slices.Sort(probes)
				for _, probe := range probes {
					if !yield(stageCells(run, &run.Lanes[l], stage, probe, stage.Probes[probe])) {
						return
					}
				}
			}
		}
	}
}

// stageCells are the columns of a probe in a stage, in order.
func stageCells(run *record.Run, lane *record.Lane, stage *record.Stage, probe string, stats *record.Stats) []cell {
	long := stage.Measured().Seconds()
	per := func(n float64) any {
		if long <= 0 {
			return nil
		}
		return n / long
	}
	ok := stats.Outcomes[string(prober.OK)]
	var rate, concurrency any
	if lane.Open {
		rate = (stage.Begin + stage.End) / 2
	} else {
		concurrency = max(stage.Begin, stage.End)
	}
	cells := []cell{
		{"date", run.Started.UTC().Format("20060102-150405")},
		{"model_id", lane.Model},
		{"num_prompts", stats.Sent},
		{"request_rate", rate},
		{"max_concurrency", concurrency},
		{"duration", long},
		{"completed", ok},
		{"failed", stats.Sent - ok},
		{"total_input_tokens", stats.PromptTokens},
		{"total_output_tokens", stats.OutputTokens},
		{"request_throughput", per(float64(ok))},
		{"output_throughput", per(float64(stats.OutputTokens))},
		{"total_token_throughput", per(float64(stats.PromptTokens + stats.OutputTokens))},
	}
	for _, h := range []struct {
		name string
		of   *record.Histogram
	}{{"ttft", stats.TTFTDispatched}, {"tpot", stats.TPOT}, {"itl", stats.ITL}, {"e2el", stats.DurationDispatched}} {
		cells = append(cells, cell{"mean_" + h.name + "_ms", mean(h.of)}, cell{"median_" + h.name + "_ms", quantile(h.of, 0.5)})
		for _, p := range []int{90, 95, 99} {
			cells = append(cells, cell{"p" + strconv.Itoa(p) + "_" + h.name + "_ms", quantile(h.of, float64(p)/100)})
		}
	}
	cells = append(cells,
		cell{"run", run.ID},
		cell{"ramp", run.Ramp},
		cell{"target", lane.Target},
		cell{"verdict", string(run.Verdict)},
		cell{"lane", lane.Name},
		cell{"stage", stage.Index},
		cell{"stage_name", stage.Name},
		cell{"stage_kind", string(stage.Kind)},
		cell{"probe", probe},
		cell{"begin_load", stage.Begin},
		cell{"end_load", stage.End},
		cell{"stage_planned", stage.Planned},
		cell{"shed", stats.Shed},
		cell{"in_flight_mean", stage.InFlight},
		cell{"invalid", stage.Invalid},
	)
	for _, h := range []struct {
		name string
		of   *record.Histogram
	}{{"intended_to_first_token", stats.TTFT}, {"intended_to_end", stats.Duration}} {
		cells = append(cells, cell{"mean_" + h.name + "_ms", mean(h.of)})
		for _, p := range []int{50, 90, 95, 99} {
			cells = append(cells, cell{"p" + strconv.Itoa(p) + "_" + h.name + "_ms", quantile(h.of, float64(p)/100)})
		}
	}
	return append(cells,
		cell{"p99_dispatch_delay_ms", quantile(stage.DispatchDelay, 0.99)},
		cell{"cached_prompt_tokens", stats.CachedPromptTokens},
		cell{"estimated_output_tokens", stats.EstimatedTokens},
		cell{"cost", stats.Cost},
		cell{"currency", run.Environment.Currency},
	)
}

// WriteRequestsJSON writes a line for each request as aiperf's profile_export.jsonl has them. Its inter_token_latency is
// the mean over one request, as theirs is. A canceled request is marked so; any other failure is an error.
func WriteRequestsJSON(w io.Writer, requests iter.Seq2[*Request, error]) error {
	type metric struct {
		Value any    `json:"value"`
		Unit  string `json:"unit"`
	}
	out := json.NewEncoder(w)
	for r, err := range requests {
		if err != nil {
			return err
		}
		metrics := map[string]metric{}
		put := func(name, unit string, value any) {
			if value != nil {
				metrics[name] = metric{value, unit}
			}
		}
		at := func(step string) any {
			if d, ok := r.Between("", step); ok {
				return r.Intended.Add(d).UnixNano()
			}
			return nil
		}
		cells := requestCells(r)
		get := func(name string) any {
			return cells[slices.IndexFunc(cells, func(c cell) bool { return c.name == name })].value
		}
		if seconds, ok := get("request_latency").(float64); ok && r.Outcome == prober.OK {
			put("request_latency", "ms", seconds*1e3)
		}
		put("time_to_first_token", "ms", get("time_to_first_token_ms"))
		put("inter_token_latency", "ms", get("inter_token_latency_ms"))
		put("output_token_throughput_per_user", "tokens/sec/user", get("output_tokens_per_second"))
		if r.Outcome == prober.OK {
			put("output_sequence_length", "tokens", r.OutputTokens)
			put("input_sequence_length", "tokens", get("prompt_tokens"))
			var gaps []float64
			for i := 1; i < len(r.Chunks); i++ {
				gaps = append(gaps, milli(r.Chunks[i].At-r.Chunks[i-1].At))
			}
			if gaps != nil {
				put("inter_chunk_latency", "ms", gaps)
			}
		}
		var failure any
		if r.Outcome.Failed() {
			failure = map[string]any{"code": number(r.HTTPStatus), "type": string(r.Outcome), "message": r.Error}
		}
		err := out.Encode(map[string]any{
			"metadata": map[string]any{
				"x_request_id":      r.ID,
				"request_start_ns":  at(StepDispatched),
				"request_ack_ns":    at(StepHeaders),
				"request_end_ns":    at(StepEnd),
				"benchmark_phase":   "profiling",
				"was_cancelled":     r.Outcome == prober.Canceled,
				"credit_issued_ns":  r.Intended.UnixNano(),
				"llm_prober_lane":   r.Lane,
				"llm_prober_stage":  r.Stage,
				"llm_prober_probe":  r.Probe,
				"llm_prober_target": r.Target,
			},
			"metrics": metrics,
			"error":   failure,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func milli(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// number is n, or an empty cell for 0.
func number(n int) any {
	if n == 0 {
		return nil
	}
	return n
}

func mean(h *record.Histogram) any {
	if h.Count() == 0 {
		return nil
	}
	return milli(h.Mean())
}

func quantile(h *record.Histogram, q float64) any {
	if h.Count() == 0 {
		return nil
	}
	return milli(h.Quantile(q))
}

func header(cells []cell) (names []string) {
	for _, c := range cells {
		names = append(names, c.name)
	}
	return names
}

// line writes cells as text. Text of servers is kept from being taken for a formula by spreadsheets.
func line(cells []cell) (texts []string) {
	for _, c := range cells {
		var text string
		switch v := c.value.(type) {
		case nil:
		case string:
			text = v
			if v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) {
				text = "'" + v
			}
		case float64:
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				text = strconv.FormatFloat(v, 'f', -1, 64)
			}
		case int:
			text = strconv.Itoa(v)
		case int64:
			text = strconv.FormatInt(v, 10)
		case bool:
			text = strconv.FormatBool(v)
		}
		texts = append(texts, text)
	}
	return texts
}
