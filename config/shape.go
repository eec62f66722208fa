package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/llmprober/llm_prober/config/internal/fields"
)

// shape holds the file against the types: known keys, none missing, every value of the kind that its field takes.
// On its way it unmasks what is known to be no secret, and replaces environment variables in what is known to be one.
type shape struct {
	lookup func(name string) (string, bool)
	faults faults

	places  map[string][]string // placesByKey; nil until an unknown key is met
	secrets map[*node]string    // secret values with their variables replaced, to be put in when the file is sound
}

// checkConfig holds a whole file against Config.
func (s *shape) checkConfig(root *node) {
	root.want = mappingNode
	s.check(root, reflect.TypeFor[Config](), "")
}

// check holds n against t. path names n in messages.
func (s *shape) check(n *node, t reflect.Type, path string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.bad {
		return
	}
	if t == reflect.TypeFor[JSON]() {
		s.json(n)
		return
	}
	if n.isNull() && t.Kind() != reflect.Interface {
		n.mask = ""
		s.faults.add(n, "no value; give it one or leave it out")
		return
	}
	if rule, ok := scalarOf(t); ok {
		s.scalar(n, rule)
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		if n.kind != mappingNode {
			known, _ := fields.Of(t)
			var keys []string
			for _, k := range known {
				keys = append(keys, k.Key)
			}
			s.faults.add(n, "a mapping is expected here, not %s%s", n.kind, knownAre(keys))
			return
		}
		s.structure(n, t, path)
	case reflect.Map:
		if n.kind != mappingNode {
			s.faults.add(n, "a mapping is expected here, not %s", n.kind)
			return
		}
		for _, c := range n.children {
			s.entry(c, t.Elem(), path)
			s.notAgain(c)
		}
	case reflect.Slice:
		s.list(n, t.Elem(), path)
	case reflect.Interface: // anything goes, but it stays masked: only OAuth 2 claims are such
		n.each(s.noReference)
		n.each(s.notAgain)
	default:
		panic(fmt.Sprintf("config: %s has type %s, for which scalarOf has no row", path, t))
	}
}

// notAgain reports a value whose key was set before.
func (s *shape) notAgain(n *node) {
	if n.again > 0 {
		n.bad = true
		s.faults.add(n.key, "the key is already set in line %d", n.again)
	}
}

func (s *shape) list(n *node, item reflect.Type, path string) {
	if n.kind != listNode {
		cure := ""
		if rule, ok := scalarOf(item); ok && !rule.secret && n.kind == scalarNode && isWord(n.text) {
			n.mask, cure = "", fmt.Sprintf("; write [%s]", n.text)
		}
		s.faults.add(n, "a list is expected here, not %s%s", n.kind, cure)
		return
	}
	for i, c := range n.children {
		c.want = kindOf(item)
		s.check(c, item, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (s *shape) structure(n *node, t reflect.Type, path string) {
	known, rest := fields.Of(t)
	types := map[string]reflect.Type{}
	for _, f := range known {
		types[f.Key] = f.Type
	}
	misspelt := map[string]bool{} // what is there under a wrong name is not missing, too
	for _, c := range n.children {
		key := c.key.text
		switch {
		case types[key] == nil && rest != nil:
			s.entry(c, rest, path)
		case types[key] == nil:
			misspelt[s.unknown(c, types, path)] = true
			continue
		default:
			c.key.mask = ""
			s.check(c, types[key], join(path, key))
		}
		s.notAgain(c)
		if key == "endpoint_params" { // of OAuth 2: plain text by type, but the place of passwords in some of its flows
			c.maskValues()
		}
	}
	for _, f := range known {
		// Prometheus' types say without omitempty what they always write, ours what must be there.
		required := !f.Optional && f.Owner.PkgPath() == reflect.TypeFor[Config]().PkgPath()
		instead := func(key string) bool { return n.has(key) || misspelt[key] }
		if !required || instead(f.Key) || slices.ContainsFunc(f.Unless, instead) {
			continue
		}
		s.faults.note(n, "%q is missing%s", f.Key, in(path))
	}
}

// entry checks one value of a map.
func (s *shape) entry(c *node, t reflect.Type, path string) {
	if c.key.bad {
		return
	}
	if c.isNull() && (t != reflect.TypeFor[JSON]() || c.text == "") {
		s.withoutValue(c, "a key", path)
		return
	}
	name := "<name>"
	if isWord(c.key.text) {
		name, c.key.mask = c.key.text, ""
	}
	s.noReference(c.key)
	c.bad = c.bad || c.key.bad
	s.check(c, t, join(path, name))
}

// unknown reports a key that the mapping does not take, and returns the one that was likely meant.
func (s *shape) unknown(c *node, types map[string]reflect.Type, path string) (meant string) {
	if c.key.bad {
		return ""
	}
	c.bad = true
	if c.isNull() {
		s.withoutValue(c, "an unknown key", path)
		return ""
	}
	key := c.key.text
	if !isWord(key) {
		s.faults.add(c.key, "unknown key%s", in(path))
		return ""
	}
	c.key.mask = ""
	known := slices.Collect(maps.Keys(types))
	meant = closest(key, known)
	hint := knownAre(known)
	if meant != "" {
		hint = fmt.Sprintf("; did you mean %q?", meant)
	}
	if s.places == nil {
		s.places = placesByKey()
	}
	if places := s.places[key]; meant == "" && len(places) > 0 {
		hint = "; it belongs in " + strings.Join(places, " or ")
	}
	if (key == "name" || key == "url") && strings.HasSuffix(path, "template") {
		meant, hint = "", "; it comes with each target that is found"
	}
	if base, isRef := strings.CutSuffix(key, "_ref"); isRef && types[base+"_file"] != nil {
		hint = fmt.Sprintf("; there is no secret manager here, use %q", base+"_file")
	}
	s.faults.add(c.key, "unknown key %q%s%s", key, in(path), hint)
	return meant
}

// withoutValue reports a key of a name's choosing that has no value. Inside {} it may be a secret that was meant as
// the value, so there it stays masked; elsewhere a colon shows that it is a key.
func (s *shape) withoutValue(c *node, what, path string) {
	c.mask = ""
	if key := c.key; !key.flow && c.line == key.line && c.col == key.col+len([]rune(key.text))+1 {
		key.mask = ""
	}
	c.bad = true
	s.faults.add(c.key, "%s without a value%s", what, in(path))
}

func (s *shape) scalar(n *node, rule scalar) {
	if n.kind != scalarNode {
		s.faults.add(n, "%s is expected here, not %s", rule.want, n.kind)
		return
	}
	if rule.secret {
		n.mask = secretToken
		s.secret(n)
		return
	}
	if !rule.private && (n.key == nil || !holdsCredentials(n.key.text, n.text)) {
		n.mask = ""
	}
	s.noReference(n)
	if n.bad {
		return
	}
	if rule.check == nil {
		n.tag = "!!str" // a version such as 2023-06-01 is a text wherever a text is expected
		return
	}
	if err := rule.check(n); err != nil {
		s.faults.add(n, "%v", err)
	}
}

func (s *shape) secret(n *node) {
	n.tag = "!!str"
	if n.text == "" {
		s.faults.add(n, "the secret is empty; give it a value or leave it out")
		return
	}
	value, err := expand(n.text, s.lookup)
	if err != nil {
		s.faults.add(n, "%v", err)
		return
	}
	s.secrets[n] = value
}

// noReference reports a ${NAME} where none is replaced.
func (s *shape) noReference(n *node) {
	if strings.Contains(n.text, "${") {
		s.faults.add(n, "${NAME} is replaced in secret values only (headers, and secrets under http); write the value itself")
	}
}

// reveal puts the environment's values into the secrets.
func (s *shape) reveal() {
	for n, value := range s.secrets {
		n.text = value
	}
}

// kindOf is the kind of node that a type is written as.
func kindOf(t reflect.Type) kind {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if _, ok := scalarOf(t); ok {
		return scalarNode
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return mappingNode
	case reflect.Slice:
		return listNode
	}
	return scalarNode
}
