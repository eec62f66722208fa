// Package config reads the configuration file. It guarantees that a Config it returns is complete and keeps every rule,
// that a file which breaks any is answered with all its faults at once, each with file, line, column and a cure,
// and that no secret is printed: not in a fault, not in a Config, whatever the verb or the encoder.
//
//	file --reading.go--> bytes
//	bytes --yaml.go--> nodes --shape.go--> checked against the types, secrets from the environment put in
//	                         --yaml.go--> Config --defaults.go--> complete --validate.go--> keeps the rules
//
// A fault found at any step is a place and a message; errors.go collects them and source.go shows the lines, masked.
// What is wrong in one place does not keep the rest of the file from being checked, and is not reported twice.
//
// # Adding a section
//
//  1. Declare its types in types.go, with a comment and yaml and json tags on every field: a field without omitempty
//     is required. Unknown, missing and doubled keys, wrong kinds and wrong units are faults from then on; a new type
//     that takes one value is a row in scalarOf (scalar.go).
//  2. Give its optional fields their values in applyDefaults (defaults.go).
//  3. Write its rules in a method of validator (validate.go), and one file per rule in testdata/bad with
//     the faults beside it: go test ./config -update writes those.
//  4. Use it in testdata/good, and run go generate ./config for the schema and the reference.
package config

//go:generate go run ./internal/gen .
