package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/llmprober/llm_prober/collector/gpu"
)

// asProgram, in the environment, makes the test binary the program itself: processes have what functions have not, such as
// arguments, an environment, children and a way to crash.
const asProgram = "LLM_PROBER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || len(os.Args) > 1 && os.Args[1] == gpu.WorkerCommand {
		main()
	}
	goleak.VerifyTestMain(m)
}
