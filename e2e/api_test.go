package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/llmprober/llm_prober/e2e/process"
)

// prometheus is the API of a Prometheus.
type prometheus struct{ url string }

// series is one series of a result, with the points that a query found.
type series struct {
	Metric     map[string]string   `json:"metric"`
	Value      []json.RawMessage   `json:"value"`
	Values     [][]json.RawMessage `json:"values"`
	Histogram  []json.RawMessage   `json:"histogram"`
	Histograms [][]json.RawMessage `json:"histograms"`
}

// known reports whether the series has a point that is a number or a histogram.
func (s series) known() bool {
	if len(s.Histogram) > 0 || len(s.Histograms) > 0 {
		return true
	}
	for _, v := range append(s.Values, s.Value) {
		if len(v) == 2 && !math.IsNaN(number(v[1])) {
			return true
		}
	}
	return false
}

// number reads the text that a value is sent as.
func number(raw json.RawMessage) float64 {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return math.NaN()
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// instant evaluates an expression now.
func (p prometheus) instant(expr string) ([]series, error) {
	return p.query("/api/v1/query", url.Values{"query": {expr}})
}

// during evaluates an expression from then until now.
func (p prometheus) during(expr string, from time.Time, step time.Duration) ([]series, error) {
	return p.query("/api/v1/query_range", url.Values{
		"query": {expr}, "start": {stamp(from)}, "end": {stamp(time.Now())}, "step": {fmt.Sprint(step.Seconds())},
	})
}

func stamp(t time.Time) string { return fmt.Sprintf("%.3f", float64(t.UnixMilli())/1000) }

func (p prometheus) query(path string, form url.Values) ([]series, error) {
	var answer struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	}
	if err := p.get(path, form, &answer); err != nil {
		return nil, err
	}
	if answer.ResultType == "scalar" {
		var s series
		return []series{s}, json.Unmarshal(answer.Result, &s.Value)
	}
	var result []series
	return result, json.Unmarshal(answer.Result, &result)
}

// values lists the values of a label among the series that match a selector.
func (p prometheus) values(label, selector string, from time.Time) ([]string, error) {
	var answer []string
	err := p.get("/api/v1/label/"+label+"/values", url.Values{"match[]": {selector}, "start": {stamp(from)}, "end": {stamp(time.Now())}}, &answer)
	return answer, err
}

// exemplars counts the exemplars of the series of an expression.
func (p prometheus) exemplars(expr string, from time.Time) (n int, err error) {
	var answer []struct {
		Exemplars []struct {
			Labels map[string]string `json:"labels"`
		} `json:"exemplars"`
	}
	err = p.get("/api/v1/query_exemplars", url.Values{"query": {expr}, "start": {stamp(from)}, "end": {stamp(time.Now())}}, &answer)
	for _, s := range answer {
		for _, x := range s.Exemplars {
			if x.Labels["request_id"] != "" {
				n++
			}
		}
	}
	return n, err
}

// group is a group of rules as Prometheus evaluated it.
type group struct {
	Name           string  `json:"name"`
	Interval       float64 `json:"interval"`
	EvaluationTime float64 `json:"evaluationTime"`
	Rules          []struct {
		Type      string `json:"type"`
		Name      string `json:"name"`
		Query     string `json:"query"`
		Health    string `json:"health"`
		LastError string `json:"lastError"`
	} `json:"rules"`
}

func (p prometheus) rules() ([]group, error) {
	var answer struct {
		Groups []group `json:"groups"`
	}
	return answer.Groups, p.get("/api/v1/rules", nil, &answer)
}

// get asks the API and reads what it says into data.
func (p prometheus) get(path string, form url.Values, data any) error {
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := process.Fetch(http.MethodGet, p.url+path+"?"+form.Encode(), nil, &answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("prometheus: %s: %s", path, answer.Error)
	}
	return nil
}

// alertmanager is the API of an Alertmanager.
type alertmanager struct{ url string }

// held is an alert as an Alertmanager holds it.
type held struct {
	Labels      map[string]string `json:"labels"`
	Fingerprint string            `json:"fingerprint"`
	Status      struct {
		State       string   `json:"state"`
		InhibitedBy []string `json:"inhibitedBy"`
	} `json:"status"`
}

// alerts lists those that match all of the matchers.
func (a alertmanager) alerts(matchers ...string) (list []held, err error) {
	err = process.Fetch(http.MethodGet, a.url+"/api/v2/alerts?"+url.Values{"filter": matchers}.Encode(), nil, &list)
	return list, err
}
