package collector

// Classic bucket bounds. Each histogram is native as well (see histogramOpts), which is where fine quantiles come from;
// the classic bounds serve servers that do not scrape native histograms, heat maps, and objectives by eye.
//
// Each bound is one line per target and probe on every scrape, so they are few: dense where objectives are set,
// sparse at the ends. BenchmarkScrape measures what they cost.

// ttftBuckets: chat objectives lie between 0.2 s and 3 s, long prompts and cold starts above.
func ttftBuckets() []float64 {
	return []float64{0.01, 0.03, 0.1, 0.2, 0.35, 0.6, 1, 1.75, 3, 6, 15, 40, 120}
}

// durationBuckets reach from a one-token answer to a long generation.
func durationBuckets() []float64 { return []float64{0.1, 0.3, 1, 2, 4, 8, 15, 30, 60, 200, 600} }

// itlBuckets: 5 ms to 100 ms is what models do, 1 s and more is a stall.
func itlBuckets() []float64 {
	return []float64{0.001, 0.005, 0.01, 0.015, 0.025, 0.04, 0.065, 0.1, 0.25, 1, 5}
}

// chunkGapBuckets are coarse: the gap is the fallback where tokens are not known, and shows stalls.
func chunkGapBuckets() []float64 { return []float64{0.005, 0.015, 0.04, 0.1, 0.25, 1, 5} }

// tpotBuckets are coarse: TPOT is an average already.
func tpotBuckets() []float64 { return []float64{0.005, 0.01, 0.02, 0.035, 0.06, 0.1, 0.25} }

// rateBuckets are in tokens per second.
func rateBuckets() []float64 { return []float64{1, 5, 15, 30, 60, 120, 300, 1000, 2000} }

// phaseBuckets are none: eight phases a probe would be a third of every scrape. The mean of each phase, from its sum and count,
// is what adds up to the whole; quantiles of phases take native histograms.
func phaseBuckets() []float64 { return nil }

// queueWaitBuckets: next to nothing while there is room, seconds when there is none. Each is a line per probe and source.
func queueWaitBuckets() []float64 { return []float64{0.001, 0.01, 0.05, 0.2, 1, 3, 10, 30} }

// delayBuckets are for what this process costs: microseconds when all is well, 10 ms and more when it is not.
func delayBuckets() []float64 {
	return []float64{10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3, 1}
}
