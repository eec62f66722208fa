package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmprober/llm_prober/e2e/process"
)

// webhook receives what Alertmanager sends, as a pager would.
type webhook struct {
	url string

	mu       sync.Mutex // protects what follows
	received []notice
}

// notice is one alert of a notification.
type notice struct {
	At          time.Time         `json:"-"`
	Receiver    string            `json:"-"`
	Status      string            `json:"status"` // firing or resolved
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func (n notice) String() string {
	return fmt.Sprintf("%s %s %s %s/%s job=%s: %s", n.Receiver, n.Status, n.Labels["alertname"], n.Labels["target"], n.Labels["probe"], n.Labels["job"], n.Annotations["description"])
}

func newWebhook(t *testing.T) *webhook {
	w := new(webhook)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// ServeHTTP implements http.Handler.
func (w *webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	var message struct {
		Alerts []notice `json:"alerts"`
	}
	if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range message.Alerts {
		n.At, n.Receiver = time.Now(), strings.TrimPrefix(r.URL.Path, "/")
		w.received = append(w.received, n)
	}
}

// find lists what came since then of an alert of a target; "" is any target.
func (w *webhook) find(since time.Time, status, alert, target string) []notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []notice
	for _, n := range w.received {
		if n.At.After(since) && n.Status == status && n.Labels["alertname"] == alert && (target == "" || n.Labels["target"] == target) {
			found = append(found, n)
		}
	}
	return found
}

// await waits until an alert has come in this status from each of the jobs.
func (w *webhook) await(t *testing.T, since time.Time, patience time.Duration, receiver, status, alert, target string, jobs ...string) {
	t.Helper()
	process.Await(t, patience, fmt.Sprintf("%s of %s is %s for %v at the webhook of %s", alert, target, status, jobs, receiver), func() error {
		var missing []string
		found := w.find(since, status, alert, target)
		for _, job := range jobs {
			i := slices.IndexFunc(found, func(n notice) bool { return n.Labels["job"] == job })
			switch {
			case i < 0:
				missing = append(missing, job)
			case found[i].Receiver != receiver:
				return fmt.Errorf("it came to %s", found[i].Receiver)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("not from %v", missing)
		}
		return nil
	})
	t.Log(w.find(since, status, alert, target)[0])
}

// over waits until the newest that has come of an alert from each of the jobs is that it is resolved. Where a noisy minute of the day
// before is what is compared with, it may have been for a while already, before what made it fire was taken away.
func (w *webhook) over(t *testing.T, since time.Time, patience time.Duration, alert, target string, jobs ...string) {
	t.Helper()
	process.Await(t, patience, fmt.Sprintf("%s of %s is over for %v", alert, target, jobs), func() error {
		firing, resolved := w.find(since, "firing", alert, target), w.find(since, "resolved", alert, target)
		for _, job := range jobs {
			if began, ended := newest(firing, job), newest(resolved, job); !ended.After(began) {
				return fmt.Errorf("not from %s", job)
			}
		}
		return nil
	})
}

// newest is when the last of a job came; zero: there is none.
func newest(notices []notice, job string) (at time.Time) {
	for _, n := range notices {
		if n.Labels["job"] == job && n.At.After(at) {
			at = n.At
		}
	}
	return at
}

// summary counts what came, by alert, target and status.
func (w *webhook) summary() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	count := map[string]int{}
	for _, n := range w.received {
		count[fmt.Sprintf("%-9s %-30s %s", n.Status, n.Labels["alertname"], n.Labels["target"])]++
	}
	var lines []string
	for k, n := range count {
		lines = append(lines, fmt.Sprintf("%4d  %s", n, k))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
