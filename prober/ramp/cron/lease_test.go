package cron

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const leasesPath = "/apis/coordination.k8s.io/v1/namespaces/monitoring/leases"

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// A fakeAPI keeps Leases as an API server does: a name is created once.
type fakeAPI struct {
	token func() string // what it lets in; nil: "secret"

	// before sees a request first, and tells whether it has answered it. nil: it does not.
	before func(w http.ResponseWriter, r *http.Request) bool

	page int // Leases in one answer; 0: 2

	mu     sync.Mutex // protects what follows
	leases map[string]lease
	calls  []string
}

func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _ := strings.CutPrefix(r.URL.Path, leasesPath+"/")
	list := r.URL.Path == leasesPath
	a.mu.Lock()
	call := r.Method
	if list && r.Method == http.MethodGet {
		call = "LIST"
	}
	a.calls = append(a.calls, call)
	a.mu.Unlock()
	want := "secret"
	if a.token != nil {
		want = a.token()
	}
	if r.Header.Get("Authorization") != "Bearer "+want {
		a.status(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	if a.before != nil && a.before(w, r) {
		return
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case r.Method == http.MethodPost && list:
		l, problem := a.read(r)
		if problem != "" {
			a.status(w, http.StatusUnprocessableEntity, problem)
			return
		}
		if _, ok := a.leases[l.Metadata.Name]; ok {
			a.status(w, http.StatusConflict, fmt.Sprintf("leases.coordination.k8s.io %q already exists", l.Metadata.Name))
			return
		}
		l.Metadata.Created = time.Now().UTC().Truncate(time.Second)
		a.putLocked(l)
		a.json(w, http.StatusCreated, l)
	case r.Method == http.MethodGet && list:
		a.listLocked(w, r)
	case r.Method == http.MethodGet:
		if l, ok := a.leases[name]; ok {
			a.json(w, http.StatusOK, l)
		} else {
			a.status(w, http.StatusNotFound, "not found")
		}
	case r.Method == http.MethodDelete:
		if _, ok := a.leases[name]; !ok {
			a.status(w, http.StatusNotFound, "not found")
			return
		}
		delete(a.leases, name)
		a.status(w, http.StatusOK, "")
	default:
		a.status(w, http.StatusMethodNotAllowed, r.Method)
	}
}

// read reads a Lease as strictly as an API server does.
func (a *fakeAPI) read(r *http.Request) (l lease, problem string) {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return l, err.Error()
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", l.Spec.Acquired); err != nil {
		return l, err.Error()
	}
	switch {
	case r.Header.Get("Content-Type") != "application/json":
		return l, "Content-Type"
	case l.APIVersion != "coordination.k8s.io/v1" || l.Kind != "Lease" || l.Spec.Holder == "":
		return l, "no Lease"
	case !dnsLabel.MatchString(l.Metadata.Name) || len(l.Metadata.Name) > 63:
		return l, "name"
	}
	return l, ""
}

// listLocked lists what the selector selects, a page at a time.
func (a *fakeAPI) listLocked(w http.ResponseWriter, r *http.Request) {
	var page struct {
		Metadata struct {
			Continue string `json:"continue,omitempty"`
		} `json:"metadata"`
		Items []lease `json:"items"`
	}
	query := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(a.leases)) {
		l := a.leases[name]
		selected := true
		for want := range strings.SplitSeq(query.Get("labelSelector"), ",") {
			key, value, _ := strings.Cut(want, "=")
			selected = selected && l.Metadata.Labels[key] == value
		}
		switch {
		case !selected || name <= query.Get("continue"):
		case len(page.Items) == cmp.Or(a.page, 2):
			page.Metadata.Continue = page.Items[len(page.Items)-1].Metadata.Name
		default:
			page.Items = append(page.Items, l)
		}
	}
	a.json(w, http.StatusOK, page)
}

func (a *fakeAPI) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (a *fakeAPI) status(w http.ResponseWriter, status int, message string) {
	a.json(w, status, map[string]any{"kind": "Status", "apiVersion": "v1", "code": status, "message": message})
}

func (a *fakeAPI) putLocked(l lease) {
	if a.leases == nil {
		a.leases = map[string]lease{}
	}
	a.leases[l.Metadata.Name] = l
}

func (a *fakeAPI) put(l lease) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.putLocked(l)
}

func (a *fakeAPI) names() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.leases))
}

func (a *fakeAPI) asked() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.calls, " ")
}

// account writes what a pod finds in the directory of its service account.
func account(t *testing.T, authority []byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, data := range map[string][]byte{"namespace": []byte("monitoring"), "token": []byte("secret\n"), "ca.crt": authority} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pod serves api over TLS, and makes the claims of one pod of its cluster. It is patient, for the machine may stand still.
func pod(t *testing.T, api http.Handler, logger *slog.Logger) *LeaseClaims {
	t.Helper()
	server := httptest.NewUnstartedServer(api)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	dir := account(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	c, err := InCluster(dir, "", env(host, port), logger)
	if err != nil {
		t.Fatal(err)
	}
	c.within = time.Minute
	return c
}

func env(host, port string) func(string) string {
	return func(key string) string {
		return map[string]string{"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}[key]
	}
}

func TestLeaseClaims(t *testing.T) {
	api := &fakeAPI{}
	c := pod(t, api, nil)
	night := at(t, "2026-11-22T02:00:00Z")
	var ours atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			won, err := c.Claim(t.Context(), "soak", night)
			if err != nil {
				t.Error(err)
			}
			if won {
				ours.Add(1)
			}
		})
	}
	wg.Wait()
	if got := ours.Load(); got != 1 {
		t.Errorf("%d of 16 claimed one occasion; want 1", got)
	}
	claim := func(name string, nominal time.Time, want bool) {
		t.Helper()
		if got, err := c.Claim(t.Context(), name, nominal); err != nil || got != want {
			t.Errorf("Claim(%q, %v) = %v, %v; want %v", name, nominal, got, err, want)
		}
	}
	claim("soak", night, false)
	claim("soak", night.Add(24*time.Hour), true)
	claim("Soak", night, true) // another ramp
	claim("../../escape", night, true)
	claim("夜", night, true)
	want := regexp.MustCompile(`^escape-\w{10}-1795312800 ramp-\w{10}-1795312800 soak-1795312800 soak-1795399200 soak-\w{10}-1795312800$`)
	if got := strings.Join(api.names(), " "); !want.MatchString(got) {
		t.Errorf("Leases %s; want %v", got, want)
	}

	// The kubelet has replaced the token.
	if err := os.WriteFile(filepath.Join(c.dir, "token"), []byte("newer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if won, err := c.Claim(t.Context(), "spike", night); won || err == nil || !strings.Contains(err.Error(), "HTTP 401") {
		t.Errorf("Claim with another token = %v, %v; want HTTP 401", won, err)
	}
	api.token = func() string { return "newer" }
	claim("spike", night, true)
}

// Probers of one namespace that are not replicas of each other know nothing of each other's claims; replicas do.
func TestLeaseClaimsGroups(t *testing.T) {
	api := &fakeAPI{}
	night := at(t, "2026-11-22T02:00:00Z")
	of := func(group, holder string) *LeaseClaims {
		c := pod(t, api, nil)
		c.group, c.holder = group, holder
		return c
	}
	east0, east1, west, plain := of("east", "east-0"), of("east", "east-1"), of("west", "west-0"), of("", "prober")
	for _, step := range []struct {
		c       *LeaseClaims
		ramp    string
		nominal time.Time
		want    bool
	}{
		{east0, "soak", night, true}, {east1, "soak", night, false}, {west, "soak", night, true}, {plain, "soak", night, true},
		{east1, "soak", night.Add(24 * time.Hour), true}, {east0, "soak_2", night, true}, {east0, "soak", night.Add(-24 * time.Hour), true},
	} {
		if got, err := step.c.Claim(t.Context(), step.ramp, step.nominal); err != nil || got != step.want {
			t.Errorf("%s of %q: Claim(%s, %v) = %v, %v; want %v", step.c.holder, step.c.group, step.ramp, step.nominal, got, err, step.want)
		}
	}
	for _, tt := range []struct {
		c    *LeaseClaims
		ramp string
		want []Claimed
	}{
		{east0, "soak", []Claimed{{night, true}, {night.Add(24 * time.Hour), false}}},
		{east1, "soak", []Claimed{{night, false}, {night.Add(24 * time.Hour), true}}},
		{east1, "soak_2", []Claimed{{night, false}}},
		{west, "soak", []Claimed{{night, true}}},
		{plain, "soak", []Claimed{{night, true}}},
		{plain, "spike", nil},
	} {
		got, err := tt.c.Claimed(t.Context(), tt.ramp, night.Add(-time.Second))
		if diff := gocmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s of %q: Claimed(%s) (-want +got): %v\n%s", tt.c.holder, tt.c.group, tt.ramp, err, diff)
		}
	}
	api.before = func(w http.ResponseWriter, _ *http.Request) bool {
		api.status(w, http.StatusInternalServerError, "etcd")
		return true
	}
	if got, err := east0.Claimed(t.Context(), "soak", night); got != nil || err == nil || !strings.Contains(err.Error(), "HTTP 500") {
		t.Errorf("Claimed of a broken API server = %v, %v", got, err)
	}
}

// Whatever the API server does, a claim is ours only if its Lease is.
func TestLeaseClaimsAnswers(t *testing.T) {
	night := at(t, "2026-11-22T02:00:00Z")
	taken := lease{Metadata: leaseMeta{Name: "soak-1795312800"}, Spec: leaseSpec{Holder: "another"}}
	answers := func(method string, status int, body string) func(*fakeAPI, http.ResponseWriter, *http.Request) bool {
		return func(_ *fakeAPI, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != method {
				return false
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	// made does what was asked for, and shows nobody the answer.
	made := func(a *fakeAPI, r *http.Request) {
		l, problem := a.read(r)
		if problem != "" {
			t.Error(problem)
		}
		a.put(l)
	}
	for _, tt := range []struct {
		name   string
		before func(*fakeAPI, http.ResponseWriter, *http.Request) bool
		taken  bool
		ours   bool
		err    string // in the error; empty: none
		asked  string
	}{
		{name: "free", ours: true, asked: "POST LIST"},
		{name: "taken", taken: true, asked: "POST GET"},
		{name: "forbidden", before: answers("POST", 403, `{"message":"leases is forbidden"}`), err: "HTTP 403 Forbidden: leases is forbidden; the service account's Role must allow create", asked: "POST"},
		{name: "too many requests", before: answers("POST", 429, ""), err: "HTTP 429 Too Many Requests", asked: "POST"},
		{name: "redirected", before: answers("POST", 302, ""), err: "HTTP 302 Found", asked: "POST GET"},
		{name: "broken", before: answers("POST", 500, "<html>"), err: "HTTP 500 Internal Server Error; GET Leases: HTTP 404", asked: "POST GET"},
		{name: "broken, and taken", before: answers("POST", 500, ""), taken: true, asked: "POST GET"},
		{name: "broken after the act", ours: true, asked: "POST GET", before: func(a *fakeAPI, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			made(a, r)
			w.WriteHeader(http.StatusGatewayTimeout)
			return true
		}},
		{name: "sent twice by a proxy", ours: true, asked: "POST GET", before: func(a *fakeAPI, w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			made(a, r)
			w.WriteHeader(http.StatusConflict)
			return true
		}},
		{name: "answer lost", ours: true, asked: "POST GET", before: func(a *fakeAPI, _ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				made(a, r)
				panic(http.ErrAbortHandler)
			}
			return false
		}},
		{name: "both answers lost", err: "whose it is remains unknown", asked: "POST GET", before: func(a *fakeAPI, _ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				made(a, r)
			}
			panic(http.ErrAbortHandler)
		}},
		{name: "request lost", err: "HTTP 404", asked: "POST GET", before: func(_ *fakeAPI, _ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				panic(http.ErrAbortHandler)
			}
			return false
		}},
		{name: "hangs", err: "no answer within", asked: "POST GET", before: func(_ *fakeAPI, _ http.ResponseWriter, r *http.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that the client has gone
			<-r.Context().Done()
			return true
		}},
		{name: "hangs after the act", ours: true, asked: "POST GET", before: func(a *fakeAPI, _ http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			made(a, r)
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return true
		}},
		{name: "created, then garbage", before: answers("POST", 201, "\x00{"), ours: true, asked: "POST"},
		{name: "taken, then garbage", before: answers("GET", 200, "\x00{"), taken: true, err: "invalid character", asked: "POST GET"},
		{name: "taken, then another Lease", before: answers("GET", 200, `{"metadata":{"name":"spike-1"},"spec":{"holderIdentity":"x"}}`), taken: true, err: "the answer is not the Lease", asked: "POST GET"},
		{name: "taken, and unreadable", before: answers("GET", 403, ""), taken: true, err: "HTTP 403", asked: "POST GET"},
		{name: "taken, then endless", before: func(_ *fakeAPI, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				return false
			}
			chunk := []byte(strings.Repeat(" ", 64<<10))
			for {
				if _, err := w.Write(chunk); err != nil {
					return true
				}
			}
		}, taken: true, err: "more than 2097152 bytes", asked: "POST GET"},
	} {
		try := func(t *testing.T, pod func(*testing.T, http.Handler, *slog.Logger) *LeaseClaims) {
			api := &fakeAPI{}
			if tt.before != nil {
				api.before = func(w http.ResponseWriter, r *http.Request) bool { return tt.before(api, w, r) }
			}
			if tt.taken {
				api.put(taken)
			}
			ours, err := pod(t, api, nil).Claim(t.Context(), "soak", night)
			if ours != tt.ours || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("Claim = %v, %v; want %v, %q", ours, err, tt.ours, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the token is in the error: %v", err)
			}
			if got := api.asked(); got != tt.asked {
				t.Errorf("asked %s; want %s", got, tt.asked)
			}
		}
		t.Run(tt.name, func(t *testing.T) {
			if strings.HasPrefix(tt.name, "hangs") {
				synctest.Test(t, func(t *testing.T) { try(t, podInBubble) })
			} else {
				try(t, pod)
			}
		})
	}
}

func TestLeaseClaimsEnded(t *testing.T) {
	asked := make(chan struct{}, 1)
	api := &fakeAPI{before: func(_ http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
		return true
	}}
	c := pod(t, api, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-asked; cancel(ErrShutdown) }()
	for range 2 { // under way, and before
		if ours, err := c.Claim(ctx, "soak", time.Unix(0, 0)); ours || err == nil || !strings.Contains(err.Error(), ErrShutdown.Error()) {
			t.Errorf("Claim with an ended context = %v, %v", ours, err)
		}
	}
	if got := api.asked(); got != "POST" {
		t.Errorf("asked %s; want POST alone", got)
	}
}

// The API server must be the one that the cluster's authority has signed for.
func TestLeaseClaimsStranger(t *testing.T) {
	api := &fakeAPI{}
	c := pod(t, api, nil)
	c.leases = strings.Replace(c.leases, "127.0.0.1", "localhost", 1) // not in its certificate
	if ours, err := c.Claim(t.Context(), "soak", time.Unix(0, 0)); ours || err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Claim at a stranger = %v, %v", ours, err)
	}
	if got := api.asked(); got != "" {
		t.Errorf("a stranger was asked %s", got)
	}
}

func TestLeaseClaimsSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &fakeAPI{}
		var log strings.Builder
		c := podInBubble(t, api, slog.New(slog.NewTextHandler(&log, nil)))
		now := time.Now()
		ours := map[string]string{"app.kubernetes.io/managed-by": "llm-prober", "app.kubernetes.io/component": "ramp-claim"}
		for name, l := range map[string]leaseMeta{
			"old-1": {Labels: ours, Created: now.Add(-8 * 24 * time.Hour)}, "old-2": {Labels: ours, Created: now.Add(-30 * 24 * time.Hour)},
			"old-3": {Labels: ours, Created: now.Add(-169 * time.Hour)}, "young-1": {Labels: ours, Created: now.Add(-167 * time.Hour)},
			"undated": {Labels: ours}, "alien": {Labels: map[string]string{"app.kubernetes.io/managed-by": "Helm"}, Created: now.Add(-99 * 24 * time.Hour)},
		} {
			l.Name = name
			api.put(lease{Metadata: l})
		}
		claim := func(nominal int64) {
			t.Helper()
			if won, err := c.Claim(t.Context(), "soak", time.Unix(nominal, 0)); err != nil || !won {
				t.Errorf("Claim = %v, %v", won, err)
			}
		}
		claim(1)
		if got := strings.Join(api.names(), " "); got != "alien soak-1 undated young-1" {
			t.Errorf("left are %s", got)
		}
		asked := api.asked()
		claim(2)
		if got := api.asked(); got != asked+" POST" {
			t.Errorf("asked %s; want one POST after %s: it looked for old claims just now", got, asked)
		}

		// What goes wrong there costs the claim nothing.
		c.swept = time.Time{}
		api.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				api.status(w, http.StatusForbidden, "leases is forbidden")
			}
			return r.Method == http.MethodGet
		}
		claim(3)
		if !strings.Contains(log.String(), "Old claims of ramps were not removed.") {
			t.Errorf("log: %s", log.String())
		}
	})
}

// Whatever a list names: nothing but a claim is asked to be removed, and by its own address.
func TestLeaseClaimsSweepHostile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours := map[string]string{"app.kubernetes.io/managed-by": "llm-prober", "app.kubernetes.io/component": "ramp-claim"}
		old := time.Now().Add(-30 * 24 * time.Hour)
		page := map[string][]lease{"items": {
			{Metadata: leaseMeta{Name: "leader", Created: old}},
			{Metadata: leaseMeta{Name: "leader", Labels: map[string]string{"app.kubernetes.io/managed-by": "llm-prober"}, Created: old}},
		}}
		for _, name := range []string{
			"", "/", ".", "..", "../leases", "../../secrets/token", "a/b", "/a", "a/", "a%2fb", "%2e%2e", "..%2f..", "a?b=c", "?", "a#b", "a;b", "a\\b", "a b", "a\n", "\x00",
			"soak.1", "Soak-1", "soak-", "-soak", "夜", strings.Repeat("a", 64), "soak-1",
		} {
			page["items"] = append(page["items"], lease{Metadata: leaseMeta{Name: name, Labels: ours, Created: old}})
		}
		removed := make(chan string, len(page["items"]))
		api := &fakeAPI{}
		api.before = func(w http.ResponseWriter, r *http.Request) bool {
			switch r.Method {
			case http.MethodDelete:
				removed <- r.RequestURI
			case http.MethodGet:
				api.json(w, http.StatusOK, page)
				return true
			}
			return false
		}
		if won, err := podInBubble(t, api, nil).Claim(t.Context(), "soak", time.Unix(2, 0)); err != nil || !won {
			t.Errorf("Claim = %v, %v", won, err)
		}
		close(removed)
		var got []string
		for address := range removed {
			got = append(got, address)
		}
		if want := []string{leasesPath + "/soak-1"}; !slices.Equal(got, want) {
			t.Errorf("asked to remove %q; want %q", got, want)
		}
	})
}

func TestInCluster(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	good := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	inside := env("fd00::1", "443")
	for _, tt := range []struct {
		name   string
		getenv func(string) string
		group  string
		file   string // to be written
		data   string // empty: the file is removed
		want   string // in the error; empty: none
	}{
		{name: "a pod", getenv: inside},
		{name: "of a group", getenv: inside, group: "llm-prober"},
		{name: "group with a point", getenv: inside, group: "llm.prober", want: "no name for the replicas"},
		{name: "group with a dash at the end", getenv: inside, group: "llm-", want: "no name for the replicas"},
		{name: "long group", getenv: inside, group: strings.Repeat("a", 64), want: "no name for the replicas"},
		{name: "no cluster", getenv: env("", ""), want: "this is no pod"},
		{name: "no port", getenv: env("10.0.0.1", ""), want: "this is no pod"},
		{name: "no account", getenv: inside, file: "namespace", want: "automountServiceAccountToken: true"},
		{name: "empty namespace", getenv: inside, file: "namespace", data: "\n", want: "namespace is empty"},
		{name: "no token", getenv: inside, file: "token", want: "token"},
		{name: "empty token", getenv: inside, file: "token", data: " ", want: "token is empty"},
		{name: "no authority", getenv: inside, file: "ca.crt", want: "ca.crt"},
		{name: "another file", getenv: inside, file: "ca.crt", data: "hello", want: "ca.crt has no certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := account(t, good)
			if tt.file != "" {
				if err := os.Remove(filepath.Join(dir, tt.file)); err != nil {
					t.Fatal(err)
				}
			}
			if tt.data != "" {
				if err := os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.data), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := InCluster(dir, tt.group, tt.getenv, nil)
			switch {
			case tt.want == "" && err != nil, tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("InCluster = %v; want %q", err, tt.want)
			case err == nil && c.leases != "https://[fd00::1]:443"+leasesPath:
				t.Errorf("Leases are at %s", c.leases)
			}
		})
	}
}

func TestLeaseName(t *testing.T) {
	night := time.Unix(1795312800, 0)
	for name, want := range map[string]string{
		"soak":                  `^soak-1795312800$`,
		"night-soak":            `^night-soak-1795312800$`,
		"nightly_soak":          `^nightly-soak-[0-9a-f]{10}-1795312800$`,
		"-soak":                 `^soak-[0-9a-f]{10}-1795312800$`,
		"夜":                     `^ramp-[0-9a-f]{10}-1795312800$`,
		strings.Repeat("a", 52): `^a{52}-1795312800$`,
		strings.Repeat("a", 53): `^a{41}-[0-9a-f]{10}-1795312800$`,
	} {
		if got := leaseName("", name, night); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("leaseName(%q) = %s; want %s", name, got, want)
		}
	}
	for group, want := range map[string]string{
		"llm-prober":            `^llm-prober-soak-[0-9a-f]{10}-1795312800$`,
		strings.Repeat("a", 63): `^a{41}-[0-9a-f]{10}-1795312800$`,
	} {
		if got := leaseName(group, "soak", night); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("leaseName(%q, soak) = %s; want %s", group, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		groups := rapid.SampledFrom([]string{"", "a", "a-b", "llm-prober", "llm-prober-2"})
		here, there := groups.Draw(t, "here"), groups.Draw(t, "there")
		names := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"soak", "b-soak", "2-soak"}))
		one, other := names.Draw(t, "one"), names.Draw(t, "other")
		first, second := rapid.Int64Range(-1<<40, 1<<40).Draw(t, "first"), rapid.Int64Range(-1<<40, 1<<40).Draw(t, "second")
		a, b := leaseName(here, one, time.Unix(first, 0)), leaseName(there, other, time.Unix(second, 0))
		if !dnsLabel.MatchString(a) || len(a) > 63 {
			t.Fatalf("leaseName(%q, %d) = %s: not a DNS label", one, first, a)
		}
		if first >= 0 && second >= 0 && (a == b) != (here == there && one == other && first == second) {
			t.Fatalf("%q of %q at %d and %q of %q at %d are %s and %s", one, here, first, other, there, second, a, b)
		}
	})
}
