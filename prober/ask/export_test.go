package ask

// WaitForStart returns when what Start began is over.
func WaitForStart(t *Target) { t.calibrating.Wait() }
