package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation"
	kubernetes "k8s.io/client-go/kubernetes/scheme"
)

const (
	repository = "../.."
	chartDir   = repository + "/deploy/helm/llm-prober"
)

// valueFiles are the values that everything is tested with; the defaults are among them.
func valueFiles(t *testing.T) map[string]chartutil.Values {
	t.Helper()
	files, err := filepath.Glob(chartDir + "/ci/*-values.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files of values in ci, %v; want 3 or more", len(files), err)
	}
	all := map[string]chartutil.Values{"defaults": {}}
	for _, file := range files {
		values, err := chartutil.ReadValuesFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), "-values.yaml")] = values
	}
	return all
}

func load(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLint(t *testing.T) {
	for name, values := range valueFiles(t) {
		t.Run(name, func(t *testing.T) {
			for _, m := range lint.AllWithKubeVersion(chartDir, values, "default", nil).Messages {
				if m.Severity > support.InfoSev {
					t.Error(m)
				}
			}
		})
	}
}

// TestChartFiles keeps what is not meant for a cluster out of the chart, and all rules and dashboards in it.
func TestChartFiles(t *testing.T) {
	var got, want []string
	for _, f := range load(t).Files {
		if strings.HasPrefix(f.Name, "files/") {
			got = append(got, f.Name)
		}
	}
	for pattern, prefix := range map[string]string{"/alerts/rules/*.yml": "files/rules/", "/dashboards/*.json": "files/dashboards/"} {
		files, err := filepath.Glob(repository + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			want = append(want, prefix+filepath.Base(file))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("files of the chart = %q; want %q", got, want)
	}
}

func TestSchemaRefuses(t *testing.T) {
	c := load(t)
	for name, values := range map[string]chartutil.Values{
		"unknown key":        {"promethueusRule": map[string]any{"enabled": true}},
		"unknown inner key":  {"prober": map[string]any{"replica": 2}},
		"no replicas":        {"prober": map[string]any{"replicas": 0}},
		"no shards":          {"shardedRamps": []any{map[string]any{"name": "soak", "schedule": "0 2 * * *", "shards": 0}}},
		"ramp without time":  {"shardedRamps": []any{map[string]any{"name": "soak", "shards": 2}}},
		"delay without unit": {"shardedRamps": []any{map[string]any{"name": "soak", "schedule": "0 2 * * *", "shards": 2, "startAfter": "3"}}},
		"digest":             {"image": map[string]any{"digest": "latest"}},
		"configuration":      {"config": map[string]any{"probes": map[string]any{}}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := render(c, values, "r", "ns"); err == nil || !strings.Contains(err.Error(), "schema") {
				t.Errorf("render(%v) = %v; want an error of the schema", values, err)
			}
		})
	}
}

// object is one manifest, read strictly: unknown and repeated fields are errors.
type object struct {
	runtime.Object
	meta meta.Object
	file string
}

func decode(t *testing.T, files []rendered) []object {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(kubernetes.AddToScheme(scheme), monitoring.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	var objects []object
	for _, f := range files {
		for _, document := range f.documents {
			decoded, _, err := decoder.Decode([]byte(document), nil, nil)
			if err != nil {
				t.Errorf("%s: %v\n%.2000s", f.name, err, document)
				continue
			}
			objects = append(objects, object{decoded, decoded.(meta.Object), f.name})
		}
	}
	return objects
}

// pods are the templates of pods in a manifest.
func (o object) pod() *core.PodTemplateSpec {
	switch o := o.Object.(type) {
	case *apps.StatefulSet:
		return &o.Spec.Template
	case *apps.DaemonSet:
		return &o.Spec.Template
	case *batch.CronJob:
		return &o.Spec.JobTemplate.Spec.Template
	}
	return nil
}

// TestRendered reads what the chart makes as an API server would, and holds together what refers to each other.
func TestRendered(t *testing.T) {
	c := load(t)
	prober := build(t)
	for name, values := range valueFiles(t) {
		t.Run(name, func(t *testing.T) {
			files, err := render(c, values, "a-release-with-a-name-that-is-rather-long", "monitoring")
			if err != nil {
				t.Fatal(err)
			}
			objects := decode(t, files)
			if len(objects) < 4 {
				t.Fatalf("%d manifests; want 4 or more", len(objects))
			}
			seen := map[string]bool{}
			for _, o := range objects {
				kind := fmt.Sprintf("%T", o.Object)
				key := kind + "/" + o.meta.GetName()
				if seen[key] {
					t.Errorf("%s is there twice", key)
				}
				seen[key] = true
				if problems := validation.IsDNS1123Subdomain(o.meta.GetName()); len(problems) > 0 {
					t.Errorf("%s: %v", key, problems)
				}
				for k, v := range o.meta.GetLabels() {
					if problems := append(validation.IsQualifiedName(k), validation.IsValidLabelValue(v)...); len(problems) > 0 {
						t.Errorf("%s: label %s=%s: %v", key, k, v, problems)
					}
				}
				if pod := o.pod(); pod != nil {
					checkPod(t, key, pod, objects, prober)
				}
				switch o := o.Object.(type) {
				case *core.ConfigMap:
					checkConfiguration(t, o, prober)
				case *core.Service:
					selectsPod(t, key, o.Spec.Selector, o.Spec.Ports[0].TargetPort.StrVal, objects)
				case *apps.StatefulSet:
					if !seen["*v1.Service/"+o.Spec.ServiceName] {
						t.Errorf("%s: no Service %s", key, o.Spec.ServiceName)
					}
					if claims := slices.Contains(o.Spec.Template.Spec.Containers[0].Args, "--ramp.claims=kubernetes:"+o.Name); claims != (*o.Spec.Replicas > 1) {
						t.Errorf("%s: %d replicas, claims of ramps by its name %t", key, *o.Spec.Replicas, claims)
					}
				case *rbac.Role: // what prober/ramp/cron asks the API server for, and no more
					want := []rbac.PolicyRule{{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"create", "get", "list", "delete"}}}
					if !reflect.DeepEqual(o.Rules, want) {
						t.Errorf("%s allows %v; want %v", key, o.Rules, want)
					}
				case *networking.NetworkPolicy:
					for _, other := range objects {
						if pod := other.pod(); pod != nil && !labels.SelectorFromSet(o.Spec.PodSelector.MatchLabels).Matches(labels.Set(pod.Labels)) {
							t.Errorf("%s does not apply to the pods of %s", key, other.meta.GetName())
						}
					}
				case *monitoring.ServiceMonitor:
					found := 0
					for _, other := range objects {
						s, ok := other.Object.(*core.Service)
						if ok && labels.SelectorFromSet(o.Spec.Selector.MatchLabels).Matches(labels.Set(s.Labels)) {
							found++
							if s.Spec.Ports[0].Name != o.Spec.Endpoints[0].Port {
								t.Errorf("%s: Service %s has no port %s", key, s.Name, o.Spec.Endpoints[0].Port)
							}
						}
					}
					if found != 1 {
						t.Errorf("%s selects %d Services; want 1, or series are there twice", key, found)
					}
				case *batch.CronJob:
					checkShards(t, key, o, objects)
				}
			}
		})
	}
}

func selectsPod(t *testing.T, key string, selector map[string]string, port string, objects []object) {
	t.Helper()
	for _, o := range objects {
		pod := o.pod()
		if pod == nil || !labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels)) {
			continue
		}
		for _, p := range pod.Spec.Containers[0].Ports {
			if p.Name == port {
				return
			}
		}
	}
	t.Errorf("%s selects no pod that has a port %s", key, port)
}

var reference = regexp.MustCompile(`\$\(([A-Z_]+)\)`)

func checkPod(t *testing.T, key string, pod *core.PodTemplateSpec, objects []object, prober string) {
	t.Helper()
	volumes := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap != nil && !slices.ContainsFunc(objects, func(o object) bool {
			_, ok := o.Object.(*core.ConfigMap)
			return ok && o.meta.GetName() == v.ConfigMap.Name
		}) {
			t.Errorf("%s: no ConfigMap %s", key, v.ConfigMap.Name)
		}
	}
	for _, o := range objects {
		if s, ok := o.Object.(*apps.StatefulSet); ok {
			for _, claim := range s.Spec.VolumeClaimTemplates {
				volumes[claim.Name] = true
			}
		}
	}
	if s := pod.Spec.SecurityContext; s == nil || s.SeccompProfile == nil {
		t.Errorf("%s: no seccomp profile", key)
	}
	for _, c := range pod.Spec.Containers {
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s: no volume %s", key, m.Name)
			}
		}
		if s := c.SecurityContext; s == nil || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
			t.Errorf("%s: container %s has rights that it does not need: %+v", key, c.Name, s)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s: container %s has no limit of memory or no request of CPU", key, c.Name)
		}
		known := map[string]bool{"JOB_COMPLETION_INDEX": strings.HasPrefix(key, "*v1.CronJob/")}
		for _, e := range c.Env {
			known[e.Name] = true
		}
		for _, arg := range c.Args {
			for _, name := range reference.FindAllStringSubmatch(arg, -1) {
				if !known[name[1]] {
					t.Errorf("%s: %s names a variable that is not there", key, arg)
				}
			}
		}
		checkArgs(t, key, c.Args, prober)
		for _, p := range []*core.Probe{c.LivenessProbe, c.StartupProbe} {
			if p != nil {
				checkArgs(t, key, p.Exec.Command[1:], prober)
			}
		}
	}
}

// checkArgs asks the program for help with the same arguments: it refuses flags that it does not know.
func checkArgs(t *testing.T, key string, args []string, prober string) {
	t.Helper()
	if out, err := exec.Command(prober, append(slices.Clone(args), "--help")...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %v\n%s", key, args, err, out)
	}
}

// checkConfiguration has the program read the configuration; what it warns of is fine.
func checkConfiguration(t *testing.T, o *core.ConfigMap, prober string) {
	t.Helper()
	for name, text := range o.Data {
		switch {
		case strings.HasSuffix(name, ".yml"):
			text = regexp.MustCompile(`\bcredentials_file: \S+?([},\n])`).ReplaceAllString(text, "credentials: canary$1")
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(prober, "check-config", file).CombinedOutput(); err != nil {
				t.Errorf("check-config: %v\n%s", err, out)
			}
		case strings.HasSuffix(name, ".json"):
			want, err := os.ReadFile(filepath.Join(repository, "dashboards", name))
			if err != nil || strings.TrimSpace(text) != string(bytes.TrimSpace(want)) {
				t.Errorf("dashboard %s is not the one of dashboards/ (%v)", name, err)
			}
		}
	}
}

func checkShards(t *testing.T, key string, o *batch.CronJob, objects []object) {
	t.Helper()
	spec := o.Spec.JobTemplate.Spec
	args := spec.Template.Spec.Containers[0].Args
	claim := claimAt(&spec.Template, argument(args, "--storage.path="))
	merges := false
	for _, other := range objects { // where a user merges what the shards left
		if s, ok := other.Object.(*apps.StatefulSet); ok {
			merges = claim != "" && claimAt(&s.Spec.Template, "/var/lib/llm_prober_shards") == claim
		}
	}
	if !merges {
		t.Errorf("%s: its records, in the claim %q, are not where they can be merged", key, claim)
	}
	checkStart(t, key, argument(args, "--start-at="), *o.Spec.StartingDeadlineSeconds, spec.Template.Spec.Containers[0].Env)
	if *spec.CompletionMode != batch.IndexedCompletion || *spec.Completions != *spec.Parallelism || *spec.BackoffLimitPerIndex != 0 {
		t.Errorf("%s: not all shards at once, once each", key)
	}
	if len(o.Name) > 52 { // the controller adds the minute
		t.Errorf("%s: a CronJob's name has 52 characters at most, this one %d", key, len(o.Name))
	}
	want := fmt.Sprintf("--shard=$(JOB_COMPLETION_INDEX)/%d", *spec.Completions)
	if !slices.Contains(args, want) {
		t.Errorf("%s: %v; want %s", key, args, want)
	}
	if o.Spec.ConcurrencyPolicy != batch.ForbidConcurrent {
		t.Errorf("%s: two runs may go on at once", key)
	}
}

// argument is what follows a flag; empty: it is not there.
func argument(args []string, flag string) string {
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, flag); ok {
			return value
		}
	}
	return ""
}

// claimAt is the claim that a pod has at a path; empty: none.
func claimAt(pod *core.PodTemplateSpec, path string) string {
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		for _, v := range pod.Spec.Volumes {
			if m.MountPath == path && v.Name == m.Name && v.PersistentVolumeClaim != nil {
				return v.PersistentVolumeClaim.ClaimName
			}
		}
	}
	return ""
}

// checkStart holds that all pods of a Job begin at one time, which they know by its name, and that a Job that the controller
// makes as late as it may leaves them time to start.
func checkStart(t *testing.T, key, at string, deadline int64, env []core.EnvVar) {
	t.Helper()
	after, ok := strings.CutPrefix(at, "$(JOB_NAME)+")
	delay, err := time.ParseDuration(after)
	if !ok || err != nil || time.Duration(deadline)*time.Second > max(delay/2, 10*time.Second) || deadline < 10 {
		t.Errorf("%s: it starts at %q (%v), and its Job may be made %d s late", key, at, err, deadline)
	}
	if !slices.ContainsFunc(env, func(e core.EnvVar) bool {
		return e.Name == "JOB_NAME" && e.ValueFrom != nil && e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "metadata.labels['batch.kubernetes.io/job-name']"
	}) {
		t.Errorf("%s: its pods do not know their Job's name", key)
	}
}

// TestReleasesKeepApart has two releases with replicas in one namespace: they claim ramps by different names.
func TestReleasesKeepApart(t *testing.T) {
	c := load(t)
	claims := map[string]string{}
	for _, release := range []string{"east", "west", "llm-prober", "llm-prober-2"} {
		files, err := render(c, chartutil.Values{"prober": map[string]any{"replicas": 2}}, release, "monitoring")
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range decode(t, files) {
			if s, ok := o.Object.(*apps.StatefulSet); ok {
				name := argument(s.Spec.Template.Spec.Containers[0].Args, "--ramp.claims=kubernetes:")
				if problems := validation.IsDNS1123Label(name); len(problems) > 0 || claims[name] != "" {
					t.Errorf("the releases %s and %s claim ramps as %q: %v", release, claims[name], name, problems)
				}
				claims[name] = release
			}
		}
	}
	if len(claims) != 4 {
		t.Errorf("four releases claim ramps as %q", claims)
	}
}

// TestShardsNeedStorage refuses shards whose records nobody could add up.
func TestShardsNeedStorage(t *testing.T) {
	values := chartutil.Values{"shardedRamps": []any{map[string]any{"name": "soak", "schedule": "0 2 * * *", "shards": 2}}}
	if _, err := render(load(t), values, "r", "ns"); err == nil || !strings.Contains(err.Error(), "shardedRamps need shardStorage.existingClaim") {
		t.Errorf("render without a claim = %v; want that there is nothing to merge", err)
	}
	for after, want := range map[string]int64{"3m": 60, "90s": 45, "15s": 10, "1h": 60} {
		values := chartutil.Values{
			"shardedRamps": []any{map[string]any{"name": "soak", "schedule": "0 2 * * *", "shards": 2, "startAfter": after}},
			"shardStorage": map[string]any{"existingClaim": "runs"},
		}
		files, err := render(load(t), values, "r", "ns")
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range decode(t, files) {
			if job, ok := o.Object.(*batch.CronJob); ok && *job.Spec.StartingDeadlineSeconds != want {
				t.Errorf("startAfter %s: the Job may be made %d s late; want %d", after, *job.Spec.StartingDeadlineSeconds, want)
			}
		}
	}
}

// TestRules holds the rules of the chart against those that are shipped.
func TestRules(t *testing.T) {
	c := load(t)
	files, err := render(c, chartutil.Values{"prometheusRule": map[string]any{"enabled": true}}, "p", "ns")
	if err != nil {
		t.Fatal(err)
	}
	alerts := 0
	for _, o := range decode(t, files) {
		rule, ok := o.Object.(*monitoring.PrometheusRule)
		if !ok {
			continue
		}
		for _, group := range rule.Spec.Groups {
			for _, r := range group.Rules {
				if r.Alert != "" {
					alerts++
				}
				if r.Expr.StrVal == "" {
					t.Errorf("%s: a rule of %s has no expression", rule.Name, group.Name)
				}
			}
		}
	}
	want := 0
	shipped, err := filepath.Glob(repository + "/alerts/rules/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range shipped {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want += len(regexp.MustCompile(`(?m)^ +- alert: `).FindAll(text, -1))
	}
	if alerts != want || want == 0 {
		t.Errorf("%d alerts in the chart; %d are shipped", alerts, want)
	}
}

// TestManifests keeps deploy/kubernetes what the chart makes; tools/manifests.sh writes it.
func TestManifests(t *testing.T) {
	if out, err := exec.Command(repository+"/tools/manifests.sh", "--check").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// build makes the program whose flags and configuration the chart uses.
func build(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "llm_prober")
	cmd := exec.Command("go", "build", "-o", file, "./cmd/llm_prober")
	cmd.Dir = repository
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // its flags are the same, and the machine may have no C compiler
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}
