package simulator

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// tgiPage is TGI's /metrics: counters without _total, all times of a request when it has finished, no time to first token,
// and nothing at all of what has not happened yet.
type tgiPage struct {
	nobody
	*registry

	count, success                         prometheus.Counter
	failure                                map[string]prometheus.Counter
	duration, validation, queue, inference prometheus.Histogram
	perToken                               prometheus.Histogram
	input, generated, most                 prometheus.Histogram
	batches, batchSuccess                  map[bool]prometheus.Counter // by whether it was a prefill
	batch, forward                         map[bool]prometheus.Histogram
	nextSize                               prometheus.Histogram
}

func newTGIPage(o *Options, now func() load) *tgiPage {
	r := newRegistry(now, nil)
	p := &tgiPage{registry: r, failure: map[string]prometheus.Counter{},
		batches: map[bool]prometheus.Counter{}, batchSuccess: map[bool]prometheus.Counter{},
		batch: map[bool]prometheus.Histogram{}, forward: map[bool]prometheus.Histogram{}}
	durations := prometheus.ExponentialBuckets(.00015, 1.5, 35)
	hundred := func(most int) []float64 { return prometheus.LinearBuckets(float64(most)/100, float64(most)/100, 100) }

	r.gauge("tgi_queue_size", "Current queue size", nil, func(l load) float64 { return float64(l.waiting) })
	r.gauge("tgi_batch_current_size", "Current batch size", nil, func(l load) float64 { return float64(l.running) })
	r.gauge("tgi_batch_current_max_tokens", "Maximum tokens for the current batch", nil, func(l load) float64 { return float64(l.held) })
	r.gauge("tgi_batch_max_total_tokens", "Maximum amount of tokens in total.", nil, func(load) float64 { return float64(o.KVTokens) })
	p.count = r.counter("tgi_request_count", "Total number of requests", nil)
	p.success = r.counter("tgi_request_success", "Number of successful requests", nil)
	for _, why := range []string{"validation", "overloaded", "dropped", "generation"} {
		p.failure[why] = r.counter("tgi_request_failure", "", prometheus.Labels{"err": why})
	}
	p.duration = r.histogram("tgi_request_duration", "Total time spent processing the request", nil, durations)
	p.validation = r.histogram("tgi_request_validation_duration", "Time spent validating the request", nil, durations)
	p.queue = r.histogram("tgi_request_queue_duration", "Time spent in the queue per request", nil, durations)
	p.inference = r.histogram("tgi_request_inference_duration", "Request inference duration", nil, durations)
	p.perToken = r.histogram("tgi_request_mean_time_per_token_duration", "Mean time per token per request", nil, durations)
	p.input = r.histogram("tgi_request_input_length", "Input token length per request", nil, hundred(o.MaxModelLen-1))
	p.generated = r.histogram("tgi_request_generated_tokens", "Generated tokens per request", nil, hundred(o.MaxModelLen))
	p.most = r.histogram("tgi_request_max_new_tokens", "Maximum new tokens per request", nil, hundred(o.MaxModelLen))
	p.nextSize = r.histogram("tgi_batch_next_size", "Batch size of the next batch", nil, prometheus.LinearBuckets(1, 1, 1024))
	for prefill, method := range map[bool]string{true: "prefill", false: "decode"} {
		labels := prometheus.Labels{"method": method}
		p.batches[prefill] = r.counter("tgi_batch_inference_count", "Inference calls per method (prefill or decode)", labels)
		p.batchSuccess[prefill] = r.counter("tgi_batch_inference_success", "Number of successful inference calls per method (prefill or decode)", labels)
		p.batch[prefill] = r.histogram("tgi_batch_inference_duration", "Batch inference duration", labels, durations)
		p.forward[prefill] = r.histogram("tgi_batch_forward_duration", "Batch forward duration per method (prefill or decode)", labels, durations)
	}
	return p
}

// handler leaves out what has not happened yet, as TGI's library for metrics does.
func (p *tgiPage) handler() http.Handler {
	return promhttp.HandlerFor(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		all, err := p.Gather()
		for _, f := range all {
			f.Metric = slices.DeleteFunc(f.Metric, func(m *dto.Metric) bool {
				return m.Counter != nil && m.Counter.GetValue() == 0 || m.Histogram != nil && m.Histogram.GetSampleCount() == 0
			})
		}
		return slices.DeleteFunc(all, func(f *dto.MetricFamily) bool { return len(f.Metric) == 0 }), err
	}), promhttp.HandlerOpts{})
}

func (p *tgiPage) asked(s *sequence) {
	p.count.Inc()
	p.input.Observe(float64(s.prompt))
	p.most.Observe(float64(s.maximum))
}

func (p *tgiPage) refused(status int) {
	p.count.Inc()
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		p.failure["overloaded"].Inc()
	} else {
		p.failure["validation"].Inc()
	}
}

func (p *tgiPage) step(st step) {
	prefill := st.prefilled > 0
	took := st.end.sub(st.begin).Seconds()
	p.batches[prefill].Inc()
	p.batchSuccess[prefill].Inc()
	p.batch[prefill].Observe(took)
	p.forward[prefill].Observe(took)
	if prefill {
		p.nextSize.Observe(float64(st.admitted))
	}
}

func (p *tgiPage) finished(s *sequence, why finishReason) {
	switch why {
	case finishStop, finishLength:
	case finishError:
		p.failure["generation"].Inc()
		return
	default:
		p.failure["dropped"].Inc()
		return
	}
	t := s.timeline()
	p.success.Inc()
	p.duration.Observe(t.last.sub(s.arrival).Seconds())
	p.validation.Observe(0)
	p.queue.Observe(t.scheduled.sub(s.arrival).Seconds())
	p.inference.Observe(t.last.sub(t.scheduled).Seconds())
	p.perToken.Observe(t.last.sub(t.scheduled).Seconds() / float64(t.made))
	p.generated.Observe(float64(t.made))
}
