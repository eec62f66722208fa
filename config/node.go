package config

import (
	"fmt"
	"slices"
)

// node is one value of the file, with its place. Aliases and merge keys are resolved, so a node has one parent.
type node struct {
	kind      kind
	tag       string // what YAML takes a scalar for: !!null, !!bool, !!int, !!float, !!str or !!timestamp
	text      string // scalar
	line, col int    // from 1; columns count characters
	flow      bool   // written inside {} or []

	key      *node              // the key of a mapping's value
	again    int                // of a mapping's value whose key was set before: the line in which it was
	children []*node            // the values of a mapping, the items of a list
	byKey    map[string][]*node // the values of a long mapping; nil until one is looked for

	bad  bool   // a fault was reported: the value is not decoded, and no rule looks at it
	want kind   // of an item that is bad: the kind of empty value that stands for it
	mask string // what is shown of it in place of its text; "" shows the text
}

type kind int

const (
	scalarNode kind = iota
	listNode
	mappingNode
)

func (k kind) String() string {
	switch k {
	case listNode:
		return "a list"
	case mappingNode:
		return "a mapping"
	default:
		return "a value"
	}
}

// hidden masks what may be a secret: the value of a key that nobody knows, or one where none belongs.
// Every scalar begins so; it is unmasked when it is known to be none.
const hidden = "<hidden>"

// get returns the value of a key if it is there and sound, else nil. A nil node has no keys.
func (n *node) get(key string) *node {
	if n == nil || n.bad || n.kind != mappingNode {
		return nil
	}
	for _, c := range n.candidates(key) {
		if c.key.text == key && !c.bad {
			return c
		}
	}
	return nil
}

// long is from how many values on a mapping has a table of its keys.
const long = 32

// candidates lists the values of a mapping that may have a key, in the order of the file.
func (n *node) candidates(key string) []*node {
	if len(n.children) < long {
		return n.children
	}
	if n.byKey == nil {
		n.byKey = make(map[string][]*node, len(n.children))
		for _, c := range n.children {
			n.byKey[c.key.text] = append(n.byKey[c.key.text], c)
		}
	}
	return n.byKey[key]
}

// item returns an item of a list if it is there and sound, else nil.
func (n *node) item(i int) *node {
	if n == nil || n.bad || n.kind != listNode || i >= len(n.children) || n.children[i].bad {
		return nil
	}
	return n.children[i]
}

// has reports whether a key is written, sound or not.
func (n *node) has(key string) bool {
	if n == nil || n.kind != mappingNode {
		return false
	}
	return slices.ContainsFunc(n.candidates(key), func(c *node) bool { return c.key.text == key })
}

// keys lists the keys of a mapping, sound or not.
func (n *node) keys() []string {
	var keys []string
	if n == nil || n.kind != mappingNode {
		return nil
	}
	for _, c := range n.children {
		keys = append(keys, c.key.text)
	}
	return keys
}

// sound returns the sound values of a mapping or list.
func (n *node) sound() []*node {
	var sound []*node
	if n == nil || n.bad {
		return nil
	}
	for _, c := range n.children {
		if !c.bad {
			sound = append(sound, c)
		}
	}
	return sound
}

// hasBad reports whether something in a list was reported already.
func (n *node) hasBad() bool {
	return n != nil && slices.ContainsFunc(n.children, func(c *node) bool { return c.bad })
}

// isNull reports whether n is no value at all.
func (n *node) isNull() bool { return n.kind == scalarNode && n.tag == "!!null" }

// maskValues masks all values below n as secrets.
func (n *node) maskValues() {
	if n.kind == scalarNode {
		n.mask = secretToken
	}
	for _, c := range n.children {
		c.maskValues()
	}
}

// each calls f for n, its keys and all below.
func (n *node) each(f func(*node)) {
	f(n)
	for _, c := range n.children {
		if c.key != nil {
			c.key.each(f)
		}
		c.each(f)
	}
}

// fault is something wrong at a place of the file.
type fault struct {
	line, col  int
	message    string
	suggestion suggestion // how the message ends
}

// is reports whether two faults are the same.
func (f fault) is(g fault) bool {
	return f.line == g.line && f.col == g.col && f.message == g.message
}

// text is the whole message.
func (f fault) text() string { return shorten(f.message + f.suggestion.String()) }

// faults collects.
type faults []fault

// add reports a fault at n and marks n as bad.
func (f *faults) add(n *node, format string, args ...any) {
	n.bad = true
	f.note(n, format, args...)
}

// note reports a fault at n and leaves n sound. A suggestion among args is the last of them, and ends the message.
func (f *faults) note(n *node, format string, args ...any) {
	var ends suggestion
	if last := len(args) - 1; last >= 0 {
		if s, ok := args[last].(suggestion); ok {
			ends, args[last] = s, ""
		}
	}
	*f = append(*f, fault{n.line, n.col, shorten(fmt.Sprintf(format, args...)), ends})
}

// maxMessage is how many characters a message has at most: it may quote what is written in the file.
const maxMessage = 400

func shorten(message string) string {
	if runes := []rune(message); len(runes) > maxMessage {
		return string(runes[:maxMessage-3]) + "..."
	}
	return message
}
