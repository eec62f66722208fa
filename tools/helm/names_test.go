package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chartutil"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// TestSecretVolumes: a Secret's name may have dots and 253 characters, a volume's not.
func TestSecretVolumes(t *testing.T) {
	long := strings.Repeat("a", 60)
	secrets := []any{
		"llm-keys", "llm.keys", "llm.keys.of.the.team", "llm-keys.of.the.team", long, long + "a", long + "-b", long + ".b",
		strings.Repeat("k", 46) + "-" + strings.Repeat("k", 20), strings.Repeat("k", 253), strings.Repeat("a", 56), "1",
	}
	values := everything(t)
	values["secrets"] = secrets
	files, err := render(load(t), values, "r", "ns")
	if err != nil {
		t.Fatal(err)
	}
	pods := 0
	for _, o := range decode(t, files) {
		pod := o.pod()
		if _, agent := o.Object.(*apps.DaemonSet); pod == nil || agent {
			continue
		}
		pods++
		volumes := map[string]string{} // Secrets by their volume
		for _, v := range pod.Spec.Volumes {
			if problems := validation.IsDNS1123Label(v.Name); len(problems) > 0 || volumes[v.Name] != "" {
				t.Errorf("%s: volume %q: %v, and %q has it", o.meta.GetName(), v.Name, problems, volumes[v.Name])
			}
			if v.Secret != nil {
				volumes[v.Name] = v.Secret.SecretName
			}
		}
		for _, name := range secrets {
			i := slices.IndexFunc(pod.Spec.Containers[0].VolumeMounts, func(m core.VolumeMount) bool { return m.MountPath == "/run/secrets/"+name.(string) })
			if i < 0 || volumes[pod.Spec.Containers[0].VolumeMounts[i].Name] != name {
				t.Errorf("%s: the Secret %s is not at /run/secrets/%s", o.meta.GetName(), name, name)
			}
		}
		if volumes["secret-llm-keys"] != "llm-keys" || volumes["secret-"+strings.Repeat("a", 56)] == "" {
			t.Errorf("%s: volumes %q; want names that need no change as they are", o.meta.GetName(), volumes)
		}
	}
	if pods != 2 {
		t.Errorf("%d kinds of pods with Secrets; want the prober's and the shards'", pods)
	}
}

// cronJobs are the names of the CronJobs that these ramps become, sorted.
func cronJobs(t *testing.T, release string, ramps ...string) ([]string, error) {
	t.Helper()
	var all []any
	for _, name := range ramps {
		all = append(all, map[string]any{"name": name, "schedule": "0 2 * * *", "shards": 2})
	}
	files, err := render(load(t), chartutil.Values{"shardedRamps": all, "shardStorage": map[string]any{"existingClaim": "runs"}}, release, "ns")
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, o := range decode(t, files) {
		if job, ok := o.Object.(*batch.CronJob); ok {
			if problems := validation.IsDNS1123Label(job.Name); len(problems) > 0 || len(job.Name) > 52 { // the controller adds 11 characters
				t.Errorf("CronJob %q, %d characters: %v", job.Name, len(job.Name), problems)
			}
			names[job.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func TestCronJobNames(t *testing.T) {
	long := strings.Repeat("nightly_soak_", 4)
	release := "the-prober-of-the-inference-cluster-in-the-west"
	for _, test := range []struct {
		name, release string
		ramps         []string
		want          []string // nil: any, one for each
	}{
		{"as documented", "llm-prober", []string{"nightly_soak"}, []string{"llm-prober-nightly-soak"}},
		{"ends", "llm-prober", []string{"a__", "b.-_", "_"}, []string{"llm-prober", "llm-prober-a", "llm-prober-b"}},
		{"letters", "llm-prober", []string{"Soak.A", "soak_b"}, []string{"llm-prober-soak-a", "llm-prober-soak-b"}},
		{"25 characters", "llm-prober", []string{strings.Repeat("a", 25)}, []string{"llm-prober-" + strings.Repeat("a", 25)}},
		{"differ at the end", "llm-prober", []string{long + "a", long + "b"}, nil},
		{"long release", release, []string{long + "a", long + "b", "c"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := cronJobs(t, test.release, test.ramps...)
			if err != nil || len(got) != len(test.ramps) || test.want != nil && !slices.Equal(got, test.want) {
				t.Errorf("CronJobs of %q = %q, %v; want %q", test.ramps, got, err, test.want)
			}
		})
	}
	for _, ramps := range [][]string{{"a_b", "a-b"}, {"soak", "other", "Soak"}, {"a__", "a"}, {"soak", "soak"}} {
		want := "shardedRamps: " + ramps[0] + " and " + ramps[len(ramps)-1] + " would both be the CronJob llm-prober-"
		if _, err := cronJobs(t, "llm-prober", ramps...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CronJobs of %q = %v; want an error with %q", ramps, err, want)
		}
	}
	east, err := cronJobs(t, "the-prober-of-the-inference-in-the-east", "soak")
	west, err2 := cronJobs(t, "the-prober-of-the-inference-in-the-west", "soak")
	if err != nil || err2 != nil || slices.Equal(east, west) {
		t.Errorf("two releases have the CronJobs %q and %q: %v, %v; want different names", east, west, err, err2)
	}
}

// TestFullNames: a Service's name begins with a letter and has no dots, a release's need not.
func TestFullNames(t *testing.T) {
	c := load(t)
	for _, test := range []struct {
		name, release string
		values        chartutil.Values
		want, says    string
	}{
		{"release", "west", nil, "west-llm-prober", ""},
		{"has the name", "llm-prober", nil, "llm-prober", ""},
		{"boolean", "yes", chartutil.Values{"fullnameOverride": "yes"}, "yes", ""},
		{"number as release", "1", chartutil.Values{"fullnameOverride": "p"}, "p", ""},
		{"dashes where it is cut", "west", chartutil.Values{"fullnameOverride": strings.Repeat("a", 38) + "--bcd"}, strings.Repeat("a", 38), ""},
		{"digit first", "1", nil, "", "cure: fullnameOverride"},
		{"dots", "a.b", nil, "", "cure: fullnameOverride"},
		{"capitals", "west", chartutil.Values{"nameOverride": "LLM"}, "", "cure: fullnameOverride"},
		{"override", "west", chartutil.Values{"fullnameOverride": "a.b"}, "", "schema"},
	} {
		t.Run(test.name, func(t *testing.T) {
			files, err := render(c, test.values, test.release, "1")
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("render = %v; want an error with %q", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range decode(t, files) {
				switch o.Object.(type) {
				case *core.Service:
					if problems := validation.IsDNS1035Label(o.meta.GetName()); len(problems) > 0 {
						t.Errorf("Service %q: %v", o.meta.GetName(), problems)
					}
				case *apps.StatefulSet:
					if o.meta.GetName() != test.want || o.meta.GetLabels()["app.kubernetes.io/instance"] != test.release {
						t.Errorf("StatefulSet %q with labels %v; want %q of the release %q", o.meta.GetName(), o.meta.GetLabels(), test.want, test.release)
					}
				}
			}
		})
	}
}
