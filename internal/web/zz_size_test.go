package web
import ("testing";"os")
func TestZZSize(t *testing.T){ os.WriteFile("/tmp/crowded.html",[]byte(report(t,crowdedRun("harmless"))),0o644)}
