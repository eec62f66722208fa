// Package fields tells how Go structs are written in YAML, as their yaml tags say.
package fields

import (
	"reflect"
	"strings"
)

// Field is one key of a mapping.
type Field struct {
	Key      string
	Optional bool     // it may be left out: the tag has omitempty and no unless
	Unless   []string // the tag unless: it may be left out where one of these keys is written beside it
	Type     reflect.Type
	Owner    reflect.Type // the struct that declares the field: another one where it is inlined
	Name     string       // the field's name in Owner
}

// Of lists the keys that a struct of type t has in YAML, in the order of its fields, those of inlined structs in their place.
// Where t inlines a map, any other key is good, too: rest is the type of its values, else nil.
//
// Keys that end in _ref name entries of a secret manager, which Prometheus has and we have not: they are left out.
func Of(t reflect.Type) (list []Field, rest reflect.Type) {
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case key == "-" || strings.HasSuffix(key, "_ref"):
			continue
		case options == "inline" && f.Type.Kind() == reflect.Map:
			rest = f.Type.Elem()
			continue
		case options == "inline":
			inlined, r := Of(f.Type)
			list = append(list, inlined...)
			if r != nil {
				rest = r
			}
			continue
		case key == "":
			key = strings.ToLower(f.Name)
		}
		field := Field{Key: key, Optional: options == "omitempty", Type: f.Type, Owner: t, Name: f.Name}
		if unless := f.Tag.Get("unless"); unless != "" {
			field.Optional, field.Unless = false, strings.Split(unless, ",")
		}
		list = append(list, field)
	}
	return list, rest
}
