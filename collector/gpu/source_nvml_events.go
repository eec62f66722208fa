//go:build linux && cgo

package gpu

import (
	"sync/atomic"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// watched is a GPU whose XID events are wanted. Its identity is kept here because it cannot be asked for any more when
// it matters.
type watched struct {
	Identity
	handle nvml.Device
}

// eventWaiter holds the event set. It belongs to the goroutine of WaitXIDs, but for listening.
type eventWaiter struct {
	listening atomic.Bool
	set       nvml.EventSet // nil: none
	gpus      []watched     // registered with set
	gen       int           // nvmlSource.watchGen when set was made
	retryAt   time.Time     // when set may be made again
	backoff   time.Duration
}

const (
	eventBackoff     = time.Second
	eventBackoffMost = 30 * time.Second
)

// watchEvents asks for the XID events of a GPU.
func (s *nvmlSource) watchEvents(g *nvmlGPU) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range s.watch {
		if w.Index == g.Index {
			s.watch[i] = watched{g.Identity, g.handle}
			s.watchGen++
			return
		}
	}
	s.watch = append(s.watch, watched{g.Identity, g.handle})
	s.watchGen++
}

// WaitXIDs implements Source. A set that fails (a lost GPU makes every wait return at once) is made anew without the
// GPUs that cannot be registered, at growing intervals.
func (s *nvmlSource) WaitXIDs(d time.Duration) []XID {
	e := &s.events
	s.mu.Lock()
	gen := s.watchGen
	s.mu.Unlock()
	if e.set != nil && e.gen != gen {
		e.close(s)
	}
	if e.set == nil {
		if wait := time.Until(e.retryAt); wait > 0 || !e.open(s) {
			if wait <= 0 {
				e.later()
			}
			time.Sleep(min(d, max(0, time.Until(e.retryAt)))) // as the wait for events would
			return nil
		}
	}
	xids, ret := e.wait(s, d)
	switch {
	case ret == nvml.SUCCESS || ret == nvml.ERROR_TIMEOUT:
		e.backoff = 0
	default:
		e.listening.Store(false)
		s.mu.Lock()
		s.failLocked("nvmlEventSetWait", int(ret))
		s.mu.Unlock()
		for range 16 { // what was reported before the failure
			more, ret := e.wait(s, 0)
			if ret != nvml.SUCCESS {
				break
			}
			xids = append(xids, more...)
		}
		e.close(s)
		e.later()
	}
	return xids
}

// later puts the next attempt off.
func (e *eventWaiter) later() {
	e.backoff = min(max(2*e.backoff, eventBackoff), eventBackoffMost)
	e.retryAt = time.Now().Add(e.backoff)
}

// call makes one call of this goroutine, unless the library lacks it.
func (e *eventWaiter) call(s *nvmlSource, name string, gpu int, f func() nvml.Return) nvml.Return {
	s.mu.Lock()
	has := s.hasLocked(name) && s.gone == nil
	s.mu.Unlock()
	if !has {
		return nvml.ERROR_FUNCTION_NOT_FOUND
	}
	s.flight.begin(laneEvents, name, gpu)
	defer s.flight.end(laneEvents)
	return f()
}

// open makes a set of all GPUs that can report XIDs, and reports whether there is one.
func (e *eventWaiter) open(s *nvmlSource) bool {
	var set nvml.EventSet
	if e.call(s, "nvmlEventSetCreate", -1, func() (ret nvml.Return) { set, ret = s.lib.EventSetCreate(); return ret }) != nvml.SUCCESS {
		return false
	}
	s.mu.Lock()
	gpus := append([]watched(nil), s.watch...)
	e.gen = s.watchGen
	s.mu.Unlock()
	e.gpus = nil
	for _, w := range gpus {
		var kinds uint64
		ret := e.call(s, "nvmlDeviceGetSupportedEventTypes", w.Index, func() (ret nvml.Return) { kinds, ret = w.handle.GetSupportedEventTypes(); return ret })
		if ret != nvml.SUCCESS || kinds&nvml.EventTypeXidCriticalError == 0 {
			continue
		}
		if e.call(s, "nvmlDeviceRegisterEvents", w.Index, func() nvml.Return { return w.handle.RegisterEvents(nvml.EventTypeXidCriticalError, set) }) == nvml.SUCCESS {
			e.gpus = append(e.gpus, w)
		}
	}
	e.set = set
	if len(e.gpus) == 0 {
		e.close(s)
		return false
	}
	e.listening.Store(true)
	return true
}

func (e *eventWaiter) close(s *nvmlSource) {
	e.listening.Store(false)
	if e.set != nil {
		e.call(s, "nvmlEventSetFree", -1, e.set.Free)
		e.set = nil
	}
}

func (e *eventWaiter) wait(s *nvmlSource, d time.Duration) ([]XID, nvml.Return) {
	var data nvml.EventData
	ret := e.call(s, "nvmlEventSetWait", -1, func() (ret nvml.Return) { data, ret = e.set.Wait(uint32(d.Milliseconds())); return ret })
	if ret != nvml.SUCCESS || data.EventType&nvml.EventTypeXidCriticalError == 0 {
		return nil, ret
	}
	x := XID{Code: xidCode(data.EventData), Time: time.Now()}
	for _, w := range e.gpus {
		if w.handle == data.Device {
			x.UUID, x.PCI = w.UUID, w.PCI
		}
	}
	return []XID{x}, ret
}
