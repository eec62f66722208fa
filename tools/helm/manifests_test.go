package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const manifestsDir = repository + "/deploy/kubernetes"

// kustomization is what deploy/kubernetes says of itself.
type kustomization struct {
	Namespace string
	Images    []struct{ Name, NewName, NewTag string }
	Resources []string
}

// plain reads deploy/kubernetes as kubectl would.
func plain(t *testing.T) (kustomization, []object) {
	t.Helper()
	text, err := os.ReadFile(manifestsDir + "/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var k kustomization
	if err := yaml.Unmarshal(text, &k); err != nil {
		t.Fatal(err)
	}
	var files []rendered
	for _, name := range k.Resources {
		text, err := os.ReadFile(filepath.Join(manifestsDir, name))
		if err != nil {
			t.Fatal(err)
		}
		f := rendered{name: name}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			if !strings.HasPrefix(document, "# Written by ") {
				f.documents = append(f.documents, document)
			}
		}
		files = append(files, f)
	}
	return k, decode(t, files)
}

// TestManifestsApply has the plain manifests bring what they refer to, the namespace and the image excepted, and make no load by
// themselves; what else they need, docs/install.md says.
func TestManifestsApply(t *testing.T) {
	k, objects := plain(t)
	there, err := filepath.Glob(manifestsDir + "/*.yaml")
	if err != nil || len(there) != len(k.Resources)+1 {
		t.Errorf("the kustomization lists %q of %q (%v)", k.Resources, there, err)
	}
	docs, err := os.ReadFile(repository + "/docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kubectl create namespace " + k.Namespace, "kubectl apply --kustomize deploy/kubernetes"} {
		if !strings.Contains(string(docs), want) {
			t.Errorf("docs/install.md does not say %q", want)
		}
	}

	has := map[string]bool{}
	var pods []*core.PodTemplateSpec
	for _, o := range objects {
		switch o := o.Object.(type) {
		case *core.ConfigMap:
			has["ConfigMap "+o.Name] = true
			checkAsWritten(t, o)
		case *core.Secret:
			has["Secret "+o.Name] = true
		case *core.PersistentVolumeClaim:
			has["PersistentVolumeClaim "+o.Name] = true
		case *core.ServiceAccount:
			has["ServiceAccount "+o.Name] = true
		case *apps.StatefulSet:
			if name := strings.Split(o.Spec.Template.Spec.Containers[0].Image, ":")[0]; len(k.Images) != 1 || k.Images[0].Name != name {
				t.Errorf("the kustomization puts %v for the image %s", k.Images, name)
			}
		case *batch.CronJob:
			if o.Spec.Suspend == nil || !*o.Spec.Suspend {
				t.Errorf("%s begins by itself", o.Name)
			}
		case *monitoring.ServiceMonitor:
			if !slices.Equal(o.Spec.NamespaceSelector.MatchNames, []string{k.Namespace}) {
				t.Errorf("%s looks into %q; want %s", o.Name, o.Spec.NamespaceSelector.MatchNames, k.Namespace)
			}
		}
		if namespace := o.meta.GetNamespace(); namespace != "" && namespace != k.Namespace {
			t.Errorf("%s is in the namespace %s; want %s", o.meta.GetName(), namespace, k.Namespace)
		}
		if pod := o.pod(); pod != nil {
			pods = append(pods, pod)
		}
	}
	if len(pods) != 2 || !has["ConfigMap llm-prober"] {
		t.Errorf("%d kinds of pods and %v; want the prober and the agent, and their configuration", len(pods), has)
	}
	for _, pod := range pods {
		for _, need := range needs(pod) {
			if !has[need] {
				t.Errorf("no %s among the manifests", need)
			}
		}
	}
}

// needs are what must be there, by kind and name, before a pod can start.
func needs(pod *core.PodTemplateSpec) []string {
	var all []string
	if name := pod.Spec.ServiceAccountName; name != "" {
		all = append(all, "ServiceAccount "+name)
	}
	for _, s := range pod.Spec.ImagePullSecrets {
		all = append(all, "Secret "+s.Name)
	}
	for _, v := range pod.Spec.Volumes {
		switch {
		case v.ConfigMap != nil:
			all = append(all, "ConfigMap "+v.ConfigMap.Name)
		case v.Secret != nil && (v.Secret.Optional == nil || !*v.Secret.Optional):
			all = append(all, "Secret "+v.Secret.SecretName)
		case v.PersistentVolumeClaim != nil:
			all = append(all, "PersistentVolumeClaim "+v.PersistentVolumeClaim.ClaimName)
		}
	}
	for _, c := range pod.Spec.Containers {
		for _, e := range c.EnvFrom {
			if e.SecretRef != nil && (e.SecretRef.Optional == nil || !*e.SecretRef.Optional) {
				all = append(all, "Secret "+e.SecretRef.Name)
			}
		}
	}
	return all
}

// outside is what in a configuration somebody has to make first: files, and variables of the environment.
var outside = regexp.MustCompile(`_files?:|\$\{`)

// checkAsWritten holds that a configuration needs nothing else, and that none of its ramps has a schedule. TestRendered has the
// program read it.
func checkAsWritten(t *testing.T, o *core.ConfigMap) {
	t.Helper()
	for name, text := range o.Data {
		if found := outside.FindAllString(text, -1); len(found) > 0 {
			t.Errorf("%s names what is not among the manifests: %q", name, found)
		}
		var c struct{ Ramps []struct{ Schedule string } }
		if err := yaml.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		for _, r := range c.Ramps {
			if r.Schedule != "" {
				t.Errorf("%s: a ramp begins by itself, at %q", name, r.Schedule)
			}
		}
	}
}
