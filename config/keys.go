package config

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/llmprober/llm_prober/config/internal/fields"
)

// everyKey calls f with each key that a configuration can have: the path of its mapping, and the type of its value.
// What is in a template is in targets as well, and is not gone through again.
func everyKey(f func(path, key string, t reflect.Type)) {
	var visit func(t reflect.Type, path string)
	visit = func(t reflect.Type, path string) {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if _, ok := scalarOf(t); ok {
			return
		}
		switch t.Kind() {
		case reflect.Slice:
			visit(t.Elem(), path+"[]")
		case reflect.Map:
			visit(t.Elem(), join(path, "<name>"))
		case reflect.Struct:
			known, rest := fields.Of(t)
			for _, k := range known {
				f(path, k.Key, k.Type)
				if k.Type != reflect.TypeFor[TargetTemplate]() {
					visit(k.Type, join(path, k.Key))
				}
			}
			if rest != nil {
				visit(rest, join(path, "<name>"))
			}
		}
	}
	visit(reflect.TypeFor[Config](), "")
}

// placesByKey lists the mappings that take a key, of each key, the outermost ones first, three at most.
func placesByKey() map[string][]string {
	places := map[string][]string{}
	everyKey(func(path, key string, _ reflect.Type) {
		places[key] = append(places[key], cmp.Or(path, "the top of the file"))
	})
	for key, list := range places {
		slices.SortStableFunc(list, func(a, b string) int { return strings.Count(a, ".") - strings.Count(b, ".") })
		places[key] = list[:min(len(list), 3)]
	}
	return places
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}
