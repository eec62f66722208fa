package main

import "github.com/prometheus/common/version"

// userAgent is how the prober names itself to the servers that it asks.
func userAgent() string { return "llm_prober/" + version.Version }
