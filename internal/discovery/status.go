package discovery

import "time"

// Status is how a source fares.
type Status struct {
	// Source is the name of the source in the configuration.
	Source string

	// Targets is how many of its targets are in force.
	Targets int

	// LastSuccess is when it was last read without any error; zero if it never was.
	LastSuccess time.Time

	// LastError is what was wrong when it was last read; nil if nothing was.
	LastError error

	// Succeeded and Failed count how often it was read without and with an error.
	Succeeded, Failed uint64
}

// Status tells how the sources fare, those of files first, in the order of the configuration.
func (d *Discovery) Status() []Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]Status, 0, len(d.sources))
	for _, s := range d.sources {
		status := s.status
		for _, p := range s.lists {
			status.Targets += len(p.targets)
		}
		list = append(list, status)
	}
	return list
}
