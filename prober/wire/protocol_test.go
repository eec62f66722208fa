package wire

import (
	"slices"
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	names := Names()
	if len(names) == 0 || names[0] != "openai_chat" {
		t.Errorf("Names() = %q; want openai_chat first", names)
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			t.Errorf("%s is in the table twice", name)
		}
		p, err := Lookup(name)
		if err != nil || p.Name != name || p.Encode == nil || p.NewDecoder == nil {
			t.Errorf("Lookup(%q) = %+v, %v", name, p, err)
			continue
		}
		if p.NewDecoder() == nil {
			t.Errorf("%s: NewDecoder() = nil", name)
		}
	}
	if _, err := Lookup("openai"); err == nil || !strings.Contains(err.Error(), `"anthropic_messages"`) {
		t.Errorf("Lookup(openai) = %v; want an error that lists the names", err)
	}
}
