package fields

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type inner struct {
	B int `yaml:"b,omitempty"`
}

type rest struct {
	Others map[string]bool `yaml:",inline"`
}

type outer struct {
	A        string `yaml:"a"`
	inner    int
	Inlined  inner  `yaml:",inline"`
	Rest     rest   `yaml:",inline"`
	Left     int    `yaml:"-"`
	KeyRef   string `yaml:"key_ref,omitempty"`
	Untagged []int
}

func TestOf(t *testing.T) {
	list, others := Of(reflect.TypeFor[outer]())
	type brief struct {
		Key, Name, Owner string
		Optional         bool
	}
	var got []brief
	for _, f := range list {
		got = append(got, brief{f.Key, f.Name, f.Owner.Name(), f.Optional})
	}
	want := []brief{{"a", "A", "outer", false}, {"b", "B", "inner", true}, {"untagged", "Untagged", "outer", false}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Of (-want +got):\n%s", diff)
	}
	if others != reflect.TypeFor[bool]() {
		t.Errorf("Of's rest = %v; want bool", others)
	}
	if _, others := Of(reflect.TypeFor[inner]()); others != nil {
		t.Errorf("Of's rest = %v; want none", others)
	}
	_ = outer{}.inner
}
