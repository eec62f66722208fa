package queuewait

import "time"

// Totals is what an engine's histogram of queue waits had counted at one moment, over all its ranks.
type Totals struct {
	Count float64 // requests
	Sum   float64 // of their waits, in seconds
}

// EngineMean is the mean wait of the requests that the engine counted between two readings, and how many these were. It is
// that of all traffic and not of a probe. vLLM, TensorRT-LLM, TGI and LMDeploy count a request when it has finished, so
// the mean is of requests that began up to a request's duration before the interval; SGLang when it is first scheduled.
// There is none where nothing was counted, or where the engine has started anew in between.
func EngineMean(before, after Totals) (mean time.Duration, requests float64, ok bool) {
	requests = after.Count - before.Count
	sum := after.Sum - before.Sum
	if !(requests > 0) || !(sum >= 0) {
		return 0, 0, false
	}
	mean, ok = seconds(sum / requests)
	return mean, requests, ok
}
