package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v4"

	"github.com/llmprober/llm_prober/prober"
	"github.com/llmprober/llm_prober/prober/ramp/record"
)

// document is openapi.yaml, read once.
var document = sync.OnceValue(func() map[string]any {
	var d map[string]any
	if err := yaml.Unmarshal(openAPI, &d); err != nil {
		panic(err)
	}
	return d
})

// at follows keys into the document; nil where there is nothing.
func at(v any, keys ...string) any {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// methodsOf are the operations of a path of the document.
func methodsOf(path any) (methods []string) {
	for name := range path.(map[string]any) {
		if name != "parameters" {
			methods = append(methods, strings.ToUpper(name))
		}
	}
	slices.Sort(methods)
	return methods
}

// Every route is in the file, and what is in the file is a route.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	want := map[string][]string{}
	for path, by := range (&api{}).routes() {
		for method := range by {
			want[path] = append(want[path], method)
		}
		slices.Sort(want[path])
	}
	got := map[string][]string{}
	for path, operations := range at(document(), "paths").(map[string]any) {
		got[path] = methodsOf(operations)
		for _, method := range got[path] {
			if at(operations, strings.ToLower(method), "summary") == nil {
				t.Errorf("%s %s has no summary", method, path)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-handler +openapi.yaml):\n%s", diff)
	}
}

// The closed sets in the file are those of the program.
func TestOpenAPIHasEveryWord(t *testing.T) {
	words := func(keys ...string) (list []string) {
		for _, w := range at(document(), append([]string{"components", "schemas"}, keys...)...).([]any) {
			list = append(list, w.(string))
		}
		slices.Sort(list)
		return list
	}
	strs := func(list []string) []string { slices.Sort(list); return list }
	var outcomes, verdicts, codes []string
	for _, o := range append(prober.Outcomes(), prober.Canceled) {
		outcomes = append(outcomes, string(o))
	}
	for _, v := range record.Verdicts() {
		verdicts = append(verdicts, string(v))
	}
	for _, c := range Codes() {
		codes = append(codes, string(c))
	}
	for _, test := range []struct {
		name      string
		got, want []string
	}{
		{"outcomes", words("Outcome", "enum"), strs(outcomes)},
		{"verdicts of runs", words("RunVerdict", "enum"), strs(verdicts)},
		{"verdicts", words("Readiness", "enum"), strs([]string{string(Ready), string(Degraded), string(NotReady)})},
		{"codes", words("Verdict", "properties", "reasons", "items", "properties", "code", "enum"), strs(codes)},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-program +openapi.yaml):\n%s", test.name, diff)
		}
	}
}

// schemas resolves the schemas of the file, each once.
type schemas struct {
	mu       sync.Mutex
	resolved map[string]*jsonschema.Resolved
}

var resolver = &schemas{resolved: map[string]*jsonschema.Resolved{}}

func (s *schemas) of(t testing.TB, schema any) *jsonschema.Resolved {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := json.Marshal(map[string]any{"allOf": []any{schema}, "$defs": at(document(), "components", "schemas")})
	if err != nil {
		t.Fatal(err)
	}
	key := string(text)
	if s.resolved[key] == nil {
		var root jsonschema.Schema
		if err := json.Unmarshal(bytes.ReplaceAll(text, []byte("#/components/schemas/"), []byte("#/$defs/")), &root); err != nil {
			t.Fatal(err)
		}
		r, err := root.Resolve(nil)
		if err != nil {
			t.Fatal(err)
		}
		s.resolved[key] = r
	}
	return s.resolved[key]
}

// operation finds the path and the operation of the file that a request is for; nil where there is none.
func operation(method, path string) any {
	parts := strings.Split(strings.TrimPrefix(path, Prefix), "/")
	var best any
	literals := -1
	for pattern, operations := range at(document(), "paths").(map[string]any) {
		of, n := strings.Split(pattern, "/"), 0
		if len(of) != len(parts) {
			continue
		}
		for i := range of {
			if of[i] == parts[i] {
				n++
			} else if !strings.HasPrefix(of[i], "{") {
				n = -len(of)
			}
		}
		if n > literals && n >= 0 {
			best, literals = at(operations, strings.ToLower(method)), n
		}
	}
	return best
}

// conforms holds an answer against the file.
func conforms(t testing.TB, method, path string, status int, header http.Header, body []byte) {
	t.Helper()
	problem := at(document(), "components", "responses", "Problem")
	response := problem
	if op := operation(method, path); op != nil {
		response = at(op, "responses", strconv.Itoa(status))
		if response == nil && status >= 400 && at(op, "responses", "default") != nil {
			response = problem
		}
	} else if status < 400 {
		t.Fatalf("%s %s = %d, which openapi.yaml does not know", method, path, status)
	}
	if response == nil {
		t.Fatalf("%s %s = %d, which openapi.yaml does not have", method, path, status)
	}
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		t.Fatalf("%s %s: content type: %v", method, path, err)
	}
	media := at(response, "content", kind)
	if media == nil {
		t.Fatalf("%s %s = %d of type %s, which openapi.yaml does not have", method, path, status, kind)
	}
	documents := [][]byte{body}
	switch kind {
	case "application/yaml", "text/csv":
		return
	case "application/jsonl":
		documents = nil
		for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
			documents = append(documents, bytes.Clone(lines.Bytes()))
		}
	}
	schema := resolver.of(t, at(media, "schema"))
	for _, d := range documents {
		var v any
		if err := json.Unmarshal(d, &v); err != nil {
			t.Fatalf("%s %s: %v:\n%s", method, path, err, d)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s %s = %d: %v:\n%s", method, path, status, err, d)
		}
	}
}

// The check itself finds what is too much, what is missing and what is of the wrong kind.
func TestConforms(t *testing.T) {
	schema := map[string]any{"$ref": "#/components/schemas/Run"}
	for body, ok := range map[string]bool{
		`{"id":"a","state":"ended","ramp":"r","trigger":"api","started":"2026-11-22T02:00:00Z"}`:           true,
		`{"id":"a","state":"ended","ramp":"r","trigger":"api","started":"2026-11-22T02:00:00Z","extra":1}`: false,
		`{"id":"a","state":"ended","ramp":"r","trigger":"api"}`:                                            false,
		`{"id":"a","state":"gone","ramp":"r","trigger":"api","started":"2026-11-22T02:00:00Z"}`:            false,
	} {
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatal(err)
		}
		if err := resolver.of(t, schema).Validate(v); (err == nil) != ok {
			t.Errorf("Validate(%s) = %v; want ok: %v", body, err, ok)
		}
	}
}
