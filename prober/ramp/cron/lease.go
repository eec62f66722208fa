package cron

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// ServiceAccount is the directory of a pod's token, authority and namespace, unless its maker wanted another.
	ServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

	answerWithin = 8 * time.Second // a request to the API server; two of them end well before claimWithin
	sweepWithin  = 2 * time.Second // the removal of old claims, for which a run waits: what is left goes the next time
	sweepEvery   = time.Hour
	maxAnswer    = 2 << 20
	sweepPage    = 250 // Leases in one answer, about 1 KB each
	maxLeaseName = 63  // of a DNS label

	claimLabels = "app.kubernetes.io/managed-by=llm-prober,app.kubernetes.io/component=ramp-claim"
	groupLabel  = "app.kubernetes.io/instance"
)

// labelPattern is a DNS label: the name of a group, and of every Lease that claims something.
var labelPattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// LeaseClaims claims occasions by Leases in the pod's namespace, which are created once and never renewed: whose creation
// the API server accepts runs the ramp. A leader's election would not do: a leader that is suspended between its look at
// the clock and its act still believes that it leads.
//
//	POST --> 201 ------------------------> ours
//	     --> 409, 5xx, no answer --> GET --> its holder is this very claim --> ours
//	     |                               --> its holder is another ----------> not ours
//	     |                               --> no Lease, no answer ------------> error
//	     --> any other -------------------> error
//
// A prober that dies after its claim, or cannot learn what became of it, leaves the occasion without a run.
//
// Probers of one namespace and one group are taken to be replicas of one: ramps of one name are one ramp, also while a
// change of the configuration has come to one of them and not yet to the other. Groups know nothing of each other.
type LeaseClaims struct {
	dir    string // of the service account
	leases string // URL
	group  string // empty: that of those that have no name
	holder string
	logger *slog.Logger

	via    http.RoundTripper // nil: a connection for each claim, so that neither it nor the authority grows old
	within time.Duration     // of one request

	mu    sync.Mutex // protects what follows
	swept time.Time
}

// InCluster makes the claims of a prober that runs in a Kubernetes pod. dir is usually [ServiceAccount], getenv os.Getenv.
// The group is a name that all its replicas have and no other prober of the namespace: a to z, digits and dashes, such as
// that of their StatefulSet; empty: it is the only one that has none. The logger hears of old claims that cannot be
// removed, nil: nobody does. It asks the API server nothing.
func InCluster(dir, group string, getenv func(string) string, logger *slog.Logger) (*LeaseClaims, error) {
	if group != "" && !labelPattern.MatchString(group) {
		return nil, fmt.Errorf("claims by Kubernetes Leases: %q is no name for the replicas: take a to z, 0 to 9 and dashes between them, 63 at most", group)
	}
	host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("claims by Kubernetes Leases: this is no pod, for KUBERNETES_SERVICE_HOST and _PORT are not set; outside a cluster claim in a directory that the probers share")
	}
	namespace, err := os.ReadFile(filepath.Join(dir, "namespace"))
	if err != nil {
		return nil, fmt.Errorf("claims by Kubernetes Leases: %w; the pod needs its service account's token: automountServiceAccountToken: true", err)
	}
	name := strings.TrimSpace(string(namespace))
	if name == "" {
		return nil, fmt.Errorf("claims by Kubernetes Leases: %s is empty", filepath.Join(dir, "namespace"))
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	pod, _ := os.Hostname() // its name, which a StatefulSet gives again after a restart
	c := &LeaseClaims{dir: dir, group: group, holder: cmp.Or(pod, "?"), logger: logger, within: answerWithin}
	c.leases = "https://" + net.JoinHostPort(host, port) + "/apis/coordination.k8s.io/v1/namespaces/" + url.PathEscape(name) + "/leases"
	if _, err := c.token(); err != nil {
		return nil, fmt.Errorf("claims by Kubernetes Leases: %w", err)
	}
	if _, err := c.authority(); err != nil {
		return nil, fmt.Errorf("claims by Kubernetes Leases: %w", err)
	}
	return c, nil
}

// lease is what we write and read of a Lease.
type lease struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Metadata   leaseMeta `json:"metadata"`
	Spec       leaseSpec `json:"spec"`
}

type leaseMeta struct {
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Created     time.Time         `json:"creationTimestamp,omitzero"` // by the API server's clock
}

// What a claim is of, for people and for Claimed: the name of the Lease is not always enough.
const (
	rampAnnotation    = "ramp"
	nominalAnnotation = "nominal"
)

type leaseSpec struct {
	Holder   string `json:"holderIdentity"`
	Acquired string `json:"acquireTime,omitempty"`
}

// Claim tells whether an occasion is ours to run: true once for all probers of the namespace, false afterwards.
func (c *LeaseClaims) Claim(ctx context.Context, name string, nominal time.Time) (bool, error) {
	if ctx.Err() != nil {
		return false, fmt.Errorf("claim %s: %w", name, context.Cause(ctx))
	}
	client, done, err := c.client()
	if err != nil {
		return false, fmt.Errorf("claim %s: %w", name, err)
	}
	defer done()

	wanted := lease{
		APIVersion: "coordination.k8s.io/v1", Kind: "Lease",
		Metadata: leaseMeta{
			Name:        leaseName(c.group, name, nominal),
			Labels:      map[string]string{},
			Annotations: map[string]string{rampAnnotation: name, nominalAnnotation: nominal.UTC().Format(time.RFC3339)},
		},
		Spec: leaseSpec{
			// Of this claim alone: a Lease of an earlier one of this process, before the clock was set back, is not it.
			Holder:   c.holder + "_" + rand.Text(),
			Acquired: time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"),
		},
	}
	for label := range strings.SplitSeq(claimLabels, ",") {
		key, value, _ := strings.Cut(label, "=")
		wanted.Metadata.Labels[key] = value
	}
	if c.group != "" {
		wanted.Metadata.Labels[groupLabel] = c.group
	}
	status, answer, err := c.ask(ctx, client, http.MethodPost, "", &wanted)
	if status == http.StatusCreated { // whatever came of the rest of the answer
		var made lease
		if err == nil && json.Unmarshal(answer, &made) == nil {
			c.sweep(ctx, client, made.Metadata.Created)
		}
		return true, nil
	}
	if err == nil {
		err = refusal(http.MethodPost, status, answer)
	}
	if status >= 400 && status < 500 && status != http.StatusConflict {
		return false, fmt.Errorf("claim %s: %w", name, err)
	}

	// It is there, or may be: a proxy may have sent our request twice, and an answer may have been lost.
	got, answer, whose := c.ask(ctx, client, http.MethodGet, "/"+wanted.Metadata.Name, nil)
	if whose == nil && got != http.StatusOK {
		whose = refusal(http.MethodGet, got, answer)
	}
	var there lease
	if whose == nil {
		whose = json.Unmarshal(answer, &there)
	}
	if whose == nil && (there.Metadata.Name != wanted.Metadata.Name || there.Spec.Holder == "") {
		whose = errors.New("the answer is not the Lease")
	}
	if whose != nil {
		return false, fmt.Errorf("claim %s: whose it is remains unknown: %w; %w", name, err, whose)
	}
	return there.Spec.Holder == wanted.Spec.Holder, nil
}

// Claimed implements Claims.
func (c *LeaseClaims) Claimed(ctx context.Context, name string, after time.Time) ([]Claimed, error) {
	client, done, err := c.client()
	if err != nil {
		return nil, fmt.Errorf("claims of %s: %w", name, err)
	}
	defer done()
	labels := claimLabels
	if c.group != "" {
		labels += "," + groupLabel + "=" + c.group
	}
	var all []Claimed
	err = c.list(ctx, client, labels, func(l *lease) error {
		nominal, err := time.Parse(time.RFC3339, l.Metadata.Annotations[nominalAnnotation])
		if err != nil || !nominal.After(after) || l.Metadata.Name != leaseName(c.group, name, nominal) {
			return nil // another ramp's, another group's, or too old
		}
		holder := l.Spec.Holder[:max(strings.LastIndexByte(l.Spec.Holder, '_'), 0)]
		all = append(all, Claimed{Nominal: nominal, Ours: holder == c.holder})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claims of %s: %w", name, err)
	}
	slices.SortFunc(all, func(a, b Claimed) int { return a.Nominal.Compare(b.Nominal) })
	return all, nil
}

// leaseName names an occasion as Kubernetes allows: a to z, digits and dashes. What had to be changed, and which group it
// is of, is told apart by a hash.
func leaseName(group, name string, nominal time.Time) string {
	at := "-" + strconv.FormatInt(nominal.Unix(), 10)
	if group != "" {
		return hashedName(group+"-"+name, group+"\x00"+name, at)
	}
	if clean := cleanName(name); clean != "" && clean == name && len(clean+at) <= maxLeaseName {
		return clean + at
	}
	return hashedName(name, name, at)
}

// hashedName is as much of a name as Kubernetes allows, a hash of what it stands for, and the time.
func hashedName(name, of, at string) string {
	at = fmt.Sprintf("-%.5x", sha256.Sum256([]byte(of))) + at
	clean := cleanName(name)
	clean = strings.Trim(clean[:min(len(clean), maxLeaseName-len(at))], "-")
	return cmp.Or(clean, "ramp") + at
}

// cleanName has dashes for what Kubernetes does not allow in names.
func cleanName(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name)), "-")
}

// sweep removes claims that are a week older than one that was made now, both by the API server's clock.
// What cannot be removed is tried again later.
func (c *LeaseClaims) sweep(ctx context.Context, client *http.Client, now time.Time) {
	c.mu.Lock()
	due := !now.IsZero() && (c.swept.IsZero() || now.Sub(c.swept) >= sweepEvery)
	if due {
		c.swept = now
	}
	c.mu.Unlock()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, sweepWithin, fmt.Errorf("not done within %v", sweepWithin))
	defer cancel()
	if err := c.removeBefore(ctx, client, now.Add(-keepClaims)); err != nil {
		c.logger.Warn("Old claims of ramps were not removed.", "err", err)
	}
}

// removeBefore removes the claims of all groups: one whose probers are gone has nobody else to do it.
func (c *LeaseClaims) removeBefore(ctx context.Context, client *http.Client, before time.Time) error {
	return c.list(ctx, client, claimLabels, func(l *lease) error {
		if !l.isClaim() || l.Metadata.Created.IsZero() || !l.Metadata.Created.Before(before) {
			return nil
		}
		status, answer, err := c.ask(ctx, client, http.MethodDelete, "/"+l.Metadata.Name, nil)
		if err == nil && status != http.StatusOK && status != http.StatusAccepted && status != http.StatusNotFound { // another has
			err = refusal(http.MethodDelete, status, answer)
		}
		return err
	})
}

// isClaim tells whether a Lease of an answer claims an occasion. One without a name would stand for all Leases of the namespace,
// one with another name for something else, and one without the labels was not selected: none of them is ours to remove.
func (l *lease) isClaim() bool {
	for label := range strings.SplitSeq(claimLabels, ",") {
		if key, value, _ := strings.Cut(label, "="); l.Metadata.Labels[key] != value {
			return false
		}
	}
	return labelPattern.MatchString(l.Metadata.Name)
}

// list goes through all Leases with some labels.
func (c *LeaseClaims) list(ctx context.Context, client *http.Client, labels string, each func(*lease) error) error {
	query := url.Values{"labelSelector": {labels}, "limit": {strconv.Itoa(sweepPage)}}
	for {
		status, answer, err := c.ask(ctx, client, http.MethodGet, "?"+query.Encode(), nil)
		if err == nil && status != http.StatusOK {
			err = refusal("list", status, answer)
		}
		if err != nil {
			return err
		}
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []lease `json:"items"`
		}
		if err := json.Unmarshal(answer, &page); err != nil {
			return fmt.Errorf("list of Leases: %w", err)
		}
		for i := range page.Items {
			if err := each(&page.Items[i]); err != nil {
				return err
			}
		}
		if page.Metadata.Continue == "" {
			return nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
}

// client makes a client of the API server, and what lets its connections go.
func (c *LeaseClaims) client() (*http.Client, func(), error) {
	via := c.via
	done := func() {}
	if via == nil {
		pool, err := c.authority()
		if err != nil {
			return nil, nil, err
		}
		t := &http.Transport{ // no proxy: the token is for the API server alone
			TLSClientConfig:        &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: 64 << 10,
		}
		via, done = t, t.CloseIdleConnections
	}
	// A redirect is an answer like any other that is not expected.
	return &http.Client{Transport: via, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, done, nil
}

// ask sends one request. The status is 0 where there was no answer; the error may be about the rest of the answer alone.
func (c *LeaseClaims) ask(ctx context.Context, client *http.Client, method, path string, body *lease) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.within, fmt.Errorf("no answer within %v", c.within))
	defer cancel()
	var data []byte
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			return 0, nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.leases+path, bytes.NewReader(data))
	if err != nil {
		return 0, nil, err
	}
	token, err := c.token()
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "llm_prober")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	if err != nil {
		return resp.StatusCode, nil, fmt.Errorf("%s Leases: %w", method, err)
	}
	return resp.StatusCode, answer, nil
}

// token is read anew for each request, for the kubelet replaces it about every hour.
func (c *LeaseClaims) token() (string, error) {
	data, err := os.ReadFile(filepath.Join(c.dir, "token"))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("%s is empty", filepath.Join(c.dir, "token"))
	}
	return token, nil
}

// authority is who signs for the API server.
func (c *LeaseClaims) authority() (*x509.CertPool, error) {
	file := filepath.Join(c.dir, "ca.crt")
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s has no certificate", file)
	}
	return pool, nil
}

// refusal is what the API server said instead of what was asked for.
func refusal(what string, status int, answer []byte) error {
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(answer, &said) // what is no Status has its code
	message := strings.ToValidUTF8(said.Message[:min(len(said.Message), 300)], "")
	if message != "" {
		message = ": " + message
	}
	if status == http.StatusForbidden {
		message += "; the service account's Role must allow create, get, list and delete of leases in coordination.k8s.io"
	}
	return fmt.Errorf("%s Leases: HTTP %d %s%s", what, status, http.StatusText(status), message)
}
