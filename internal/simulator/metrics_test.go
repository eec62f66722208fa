package simulator

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMetricsComeWhenTheServersCount asks each dialect that has metrics three times, at 0, 1 and 2 ms, for two tokens of
// 12 + 11 ms, with one slot: they run from 0, 23 and 46 ms. What is on the page, and when, is each server's own.
func TestMetricsComeWhenTheServersCount(t *testing.T) {
	type sample struct {
		name, label string
		want        float64
	}
	const missing = -1
	for _, test := range []struct {
		dialect string
		at      map[time.Duration][]sample
	}{
		{"sglang", map[time.Duration][]sample{
			5 * ms: { // the first is running: its wait has been observed, of none
				{"sglang:num_running_reqs", "", 1}, {"sglang:num_queue_reqs", "", 2},
				{"sglang:queue_time_seconds_count", "", 1}, {"sglang:queue_time_seconds_sum", "", 0},
				{"sglang:time_to_first_token_seconds_count", `is_streaming="true"`, 0}, {"sglang:num_requests_total", `is_streaming="true"`, 0},
			},
			25 * ms: { // the second has begun
				{"sglang:queue_time_seconds_count", "", 2}, {"sglang:queue_time_seconds_sum", "", .022},
				{"sglang:time_to_first_token_seconds_sum", `is_streaming="true"`, .012}, {"sglang:num_requests_total", `is_streaming="true"`, 1},
				{"sglang:prompt_tokens_total", "", 16}, {"sglang:generation_tokens_total", "", 2},
				{"sglang:realtime_tokens_total", `mode="prefill_compute"`, 16}, {"sglang:realtime_tokens_total", `mode="decode"`, 2},
			},
			100 * ms: {
				{"sglang:queue_time_seconds_count", "", 3}, {"sglang:queue_time_seconds_sum", "", .022 + .044},
				{"sglang:time_to_first_token_seconds_sum", `is_streaming="true"`, .012 + .034 + .056},
				{"sglang:inter_token_latency_seconds_sum", "", 3 * .011}, {"sglang:inter_token_latency_seconds_count", "", 3},
				{"sglang:e2e_request_latency_seconds_sum", `is_streaming="true"`, .023 + .045 + .067},
				{"sglang:e2e_request_latency_seconds_count", `is_streaming="false"`, 0},
				{"sglang:per_stage_req_latency_seconds_sum", `stage="prefill_forward"`, 3 * .012},
				{"sglang:num_requests_total", `is_streaming="true"`, 3}, {"sglang:token_usage", "", 0},
			},
		}},
		{"tgi", map[time.Duration][]sample{
			5 * ms: { // asked for, and nothing of what has not happened
				{"tgi_request_count", "", 3}, {"tgi_batch_current_size", "", 1}, {"tgi_queue_size", "", 2},
				{"tgi_request_input_length_sum", "", 48}, {"tgi_request_max_new_tokens_sum", "", 6},
				{"tgi_request_queue_duration_count", "", missing}, {"tgi_request_success", "", missing},
			},
			25 * ms: {{"tgi_request_success", "", 1}, {"tgi_request_queue_duration_count", "", 1}, {"tgi_request_queue_duration_sum", "", 0}},
			100 * ms: {
				{"tgi_request_success", "", 3}, {"tgi_request_queue_duration_sum", "", .022 + .044}, {"tgi_request_duration_sum", "", .023 + .045 + .067},
				{"tgi_request_inference_duration_sum", "", 3 * .023}, {"tgi_request_generated_tokens_sum", "", 6},
				{"tgi_request_mean_time_per_token_duration_sum", "", 3 * .0115},
				{"tgi_batch_inference_count", `method="prefill"`, 3}, {"tgi_batch_inference_duration_sum", `method="decode"`, 3 * .011},
				{"tgi_request_failure", "", missing},
			},
		}},
		{"llamacpp", map[time.Duration][]sample{
			5 * ms:  {{"llamacpp:requests_processing", "", 1}, {"llamacpp:requests_deferred", "", 2}, {"llamacpp:prompt_tokens_total", "", 0}},
			15 * ms: {{"llamacpp:prompt_tokens_total", "", 16}, {"llamacpp:prompt_seconds_total", "", .012}, {"llamacpp:tokens_predicted_total", "", 0}},
			100 * ms: {
				{"llamacpp:prompt_tokens_total", "", 48}, {"llamacpp:prompt_seconds_total", "", .036}, {"llamacpp:tokens_predicted_total", "", 6},
				{"llamacpp:tokens_predicted_seconds_total", "", .033}, {"llamacpp:n_decode_total", "", 6}, {"llamacpp:n_tokens_max", "", 18},
				{"llamacpp:prompt_tokens_seconds", "", 1333.33}, {"llamacpp:predicted_tokens_seconds", "", 90.9091}, {"llamacpp:prompt_tokens_cached_total", "", 0}, {"llamacpp:n_busy_slots_per_decode", "", 1}, {"llamacpp:requests_deferred", "", 0},
			},
		}},
	} {
		o := roundEngine()
		o.MaxRunning, o.Dialect = 1, test.dialect
		inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
			begin := time.Now()
			var wg sync.WaitGroup
			for i := range 3 {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * ms)
					readAll(t, ask(t, client, fmt.Sprint("r", i), hello(`"stream":true,"max_tokens":2,`)))
				})
			}
			for _, at := range slices.Sorted(maps.Keys(test.at)) {
				samples := test.at[at]
				time.Sleep(at - time.Since(begin))
				page := get(t, client, "/metrics")
				for _, x := range samples {
					if x.want == missing {
						if strings.Contains(page, x.name) {
							t.Errorf("%s: after %v there is %s", test.dialect, at, x.name)
						}
						continue
					}
					wantMetric(t, page, x.name, x.label, x.want)
				}
			}
			wg.Wait()
		})
	}
}

func TestTGICountsFailures(t *testing.T) {
	o := roundEngine()
	o.Dialect, o.MaxQueued, o.MaxModelLen = "tgi", 1, 100
	inBubble(t, o, func(t *testing.T, s *Server, client *http.Client) {
		first := ask(t, client, "first", hello(`"stream":true,"max_tokens":20,`))
		for _, fields := range []string{`"max_tokens":1,`, `"max_tokens":1000,`} {
			readAll(t, ask(t, client, "r", hello(fields)))
		}
		first.Body.Close() // it goes away
		time.Sleep(time.Second)
		page := get(t, client, "/metrics")
		for _, why := range []string{"overloaded", "validation", "dropped"} {
			wantMetric(t, page, "tgi_request_failure", `err="`+why+`"`, 1)
		}
		wantMetric(t, page, "tgi_request_count", "", 3)
	})
}
